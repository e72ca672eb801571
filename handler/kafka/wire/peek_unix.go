//go:build unix

package wire

import (
	"errors"
	"net"
	"syscall"
)

// peek says whether a connection has data to read, and whether the other side has closed it. It neither blocks nor
// consumes data.
func peek(c net.Conn) (pending, closed bool) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return false, false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false, true
	}
	err = raw.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case n > 0:
			pending = true
		case err == nil, !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR):
			closed = true
		}
		return true
	})
	return pending, closed || err != nil
}
