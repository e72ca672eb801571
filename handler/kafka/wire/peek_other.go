//go:build !unix

package wire

import "net"

// peek is not supported here. A closed connection is noticed by the next request, whose outcome is then unknown; the
// lane's repeat makes no copy.
func peek(net.Conn) (pending, closed bool) { return false, false }
