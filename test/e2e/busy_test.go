package e2e_test

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"userrelay/test/wait"
)

// TestTooMuchInWork sends incomplete bodies until the handler accepts no more: another registration is told to try
// again, the host's probe is answered, and everything works again after they are gone.
func TestTooMuchInWork(t *testing.T) {
	t.Parallel()
	const limit = 2000
	// With the race detector, so many connections take longer on a busy machine than the handler waits for a body.
	plain := filepath.Join(moduleRoot, filepath.FromSlash(localBinary()))
	h := startBinary(t, plain, []string{startBroker(t).setting()})
	const begun = "POST /api/RegisterUser HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
	var held []net.Conn
	leave := func() {
		for _, conn := range held {
			_ = conn.Close()
		}
	}
	defer func() { leave() }()
	hold := func() {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp4", loopback(h.port))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
		if _, err := io.WriteString(conn, begun); err != nil {
			t.Fatal(err)
		}
	}
	for range limit {
		hold()
	}
	wait.For(t, "the handler is full", func() bool {
		r := h.register(t, `{"userId":" "}`) // if there is room, it is refused for its content
		if r.status == http.StatusBadRequest {
			hold() // perhaps one was let go, because its body took too long
			return false
		}
		r.problem(t, http.StatusServiceUnavailable, "busy", true, false)
		return true
	})
	if r := h.call(t, http.MethodGet, "/", ""); r.status != http.StatusOK {
		t.Errorf("the host's probe: got %d, want 200", r.status)
	}
	leave()
	wait.For(t, "there is room again", func() bool { return h.register(t, `{"userId":"later"}`).status == http.StatusOK })
}
