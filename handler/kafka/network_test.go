package kafka_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/test/kafka/ledger"
	"userrelay/test/wait"
)

// server accepts connections until the test ends, and calls serve for each.
func server(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
			serve(conn)
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		<-done
		for _, conn := range conns {
			_ = conn.Close() // some are closed already
		}
	})
	return l.Addr().String()
}

// TestUnreachable starts producers whose broker cannot be used, with different failures of sockets. Callers get an
// error that says that nothing is stored. The log says why, without any text from the network.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	secureServer, secureClient := secure(t, tls.VersionTLS13)
	_, strange := secure(t, tls.VersionTLS13)
	secured := func(t *testing.T) string { t.Helper(); return startBroker(t, kfake.TLS(secureServer)).ListenAddrs()[0] }
	serves := func(serve func(net.Conn)) func(*testing.T) string {
		return func(t *testing.T) string { t.Helper(); return server(t, serve) }
	}
	withTLS := func(config *tls.Config) func(*kafka.Config) { return func(c *kafka.Config) { c.TLS = config } }
	wrongHost := secureClient.Clone()
	wrongHost.ServerName = "kafka.example.com"
	for name, c := range map[string]struct {
		broker func(*testing.T) string
		edit   func(*kafka.Config)
		class  delivery.Class
		line   string // what the log tells
	}{
		"refused": {
			func(t *testing.T) string {
				t.Helper()
				l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = l.Close() }()
				return l.Addr().String()
			}, nil, delivery.Unavailable, "the broker refuses connections",
		},
		"black hole": {
			serves(func(net.Conn) {}), nil, delivery.Unavailable, "does not answer in time",
		},
		"closed at once": {
			serves(func(c net.Conn) { _ = c.Close() }), nil, delivery.Unavailable, "the broker closes connections",
		},
		"reset at once": {
			serves(func(c net.Conn) {
				if tcp, ok := c.(*net.TCPConn); ok {
					_ = tcp.SetLinger(0)
				}
				_ = c.Close()
			}), nil, delivery.Unavailable, "the broker closes connections",
		},
		"no Kafka": {
			serves(func(c net.Conn) { _, _ = io.WriteString(c, "220 secret.example.com ESMTP\r\n"); _ = c.Close() }),
			nil, delivery.Unavailable, "not a Kafka broker",
		},
		"a web server": {
			serves(func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nServer: secret\r\n\r\n") }),
			nil, delivery.Unavailable, "not a Kafka broker",
		},
		"no Kafka, with TLS": {
			serves(func(c net.Conn) { _, _ = io.WriteString(c, "220 secret.example.com ESMTP\r\n") }),
			withTLS(secureClient), delivery.NotAuthorized, "does not speak TLS",
		},
		"no such host": {
			func(*testing.T) string { return "kafka.invalid:9092" }, nil, delivery.Unavailable, "name cannot be resolved",
		},
		"plain to TLS": {secured, nil, delivery.Unavailable, "wants another KAFKA_SECURITY_PROTOCOL"},
		"plain to TLS that says so": {
			serves(func(c net.Conn) { _, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 70}) }), // a fatal alert, protocol_version
			nil, delivery.NotAuthorized, "wants TLS on this port",
		},
		"TLS to plain": { // as a Kafka broker takes it
			serves(func(c net.Conn) { _, _ = c.Read(make([]byte, 4)); _ = c.Close() }),
			withTLS(secureClient), delivery.Unavailable, "the broker closes connections",
		},
		"strange authority": {
			secured, withTLS(strange), delivery.NotAuthorized, "signed by an authority that is not known",
		},
		"another host": {secured, withTLS(wrongHost), delivery.NotAuthorized, "for another host name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log lines
			edits := []func(*kafka.Config){logTo(&log)}
			if c.edit != nil {
				edits = append(edits, c.edit)
			}
			p := newProducer(t, []string{c.broker(t)}, edits...)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			call := begin(ctx, p, ledger.Record("x"))
			wait.For(t, "the log tells something", func() bool { return len(log.all()) > 0 })
			if log.with(c.line) != 1 {
				t.Errorf("logged: %s, want: %s", log.all(), c.line)
			}
			if c.class == delivery.Unavailable {
				cancel() // until then it is tried again
			}
			_, err := call.wait(t)
			wantClass(t, err, c.class)
			limit, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			wantClass(t, p.Check(limit), c.class)
			if e, ok := errors.AsType[*delivery.Error](err); ok && e.Error() != e.Op+": "+string(c.class) {
				t.Errorf("error = %q", e)
			}
			if all := strings.Join(log.all(), "\n"); strings.Contains(all, "secret") || len(log.all()) != 1 {
				t.Errorf("logged: %s", all)
			}
		})
	}
}
