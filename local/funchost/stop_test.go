package funchost_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"userrelay/local/funchost"
	"userrelay/test/wait"
)

// TestStop checks that nothing is left after the host is stopped, and how requests end.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		for _, tt := range []struct {
			name     string
			stop     func(*rig, context.CancelFunc) error
			gate     bool // open it once the host no longer accepts
			finished bool
		}{
			{name: "close", stop: func(r *rig, _ context.CancelFunc) error { return r.Close() }},
			{name: "context", stop: func(r *rig, end context.CancelFunc) error { end(); <-r.Done(); return r.Err() }},
			{
				name: "shutdown", gate: true, finished: true,
				stop: func(r *rig, _ context.CancelFunc) error { return r.Shutdown(context.Background()) },
			},
			{
				name: "impatient shutdown",
				stop: func(r *rig, end context.CancelFunc) error {
					ctx, cancel := context.WithCancel(context.Background())
					cancel()
					if err := r.Shutdown(ctx); !errors.Is(err, context.Canceled) {
						return fmt.Errorf("got %w, want the context's error", err)
					}
					return nil
				},
			},
		} {
			t.Run(mode.name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				ctx, end := context.WithCancel(t.Context())
				defer end()
				cfg := config(t, mode.mode, "")
				r := startIn(ctx, t, cfg)
				gate, report := filepath.Join(t.TempDir(), "gate"), filepath.Join(t.TempDir(), "report")
				port := variable(r.call(t, "GET", open, "").seen(t).Env, "FUNCTIONS_CUSTOMHANDLER_PORT")
				answer := r.begin(t, "POST", open, "x", tell("report", report, "wait", gate))
				wait.For(t, "the request", func() bool { return contains(report, "started") })
				stopped := make(chan error, 1)
				go func() { stopped <- tt.stop(r, end) }()
				if tt.gate {
					wait.For(t, "the end of listening", func() bool { return !listens(t, strings.TrimPrefix(r.URL(), "http://")) })
					writeFile(t, gate, "")
				}
				if err := wait.Receive(t, "the end", stopped); err != nil {
					t.Errorf("stopping: %v", err)
				}
				wait.Receive(t, "Done", r.Done())
				if got := wait.Receive(t, "the answer", answer); tt.finished {
					got.seen(t)
				} else {
					got.wantEmpty(t, http.StatusInternalServerError)
				}
				if listens(t, "127.0.0.1:"+port) || r.HandlerPID() != 0 {
					t.Error("the handler is still there")
				}
				if r.console.has("Language Worker Process exited") {
					t.Error("the console tells of a crash")
				}
			})
		}
	}
}

// TestStopWhileStarting shows that requests that wait for the handler do not delay the host's end.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Forward, "gate="+filepath.Join(t.TempDir(), "never")))
	answer := r.begin(t, "GET", open, "")
	wait.For(t, "the invocation", func() bool { return r.console.has("Executing ") })
	stopped := make(chan error, 1)
	go func() { stopped <- r.Close() }()
	if err := wait.Receive(t, "the end", stopped); err != nil {
		t.Errorf("closing: %v", err)
	}
	wait.Receive(t, "the answer", answer).wantEmpty(t, http.StatusInternalServerError)
	if !r.console.has("Functions.Open. the host is stopping") {
		t.Error("the console gives another reason")
	}
}

// TestStopWithSlowClient shows that a client that does not send its body does not delay the host's end, and that its
// invocation ends before the host.
func TestStopWithSlowClient(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config(t, mode.mode, ""))
			r.call(t, "GET", open, "").seen(t) // the handler is ready
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.URL(), "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write([]byte("POST /api/Open HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx")); err != nil {
				t.Fatal(err)
			}
			wait.For(t, "the invocation", func() bool { return r.console.count("Executing ") == 2 })
			stopped := make(chan error, 1)
			go func() { stopped <- r.Close() }()
			if err := wait.Receive(t, "the end", stopped); err != nil {
				t.Errorf("closing: %v", err)
			}
			if r.console.count("Executed ") != 2 {
				t.Error("the invocation goes on")
			}
		})
	}
}

func listens(t *testing.T, addr string) bool {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
