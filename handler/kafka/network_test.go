package kafka_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/local/realkafka"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// server accepts connections until the test ends, and calls serve for each.
func server(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l := must.Get[net.Listener](t)((&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0"))
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				serve(conn)
				<-t.Context().Done()
				_ = conn.Close() // some are closed already
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// TestUnreachable starts producers whose broker cannot be used, with different failures of sockets. Callers get an
// error that says that nothing is stored. The log says why, without any text from the network.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	config, trusts := secure(t, realkafka.CertSpec{})
	_, strange := secure(t, realkafka.CertSpec{})
	otherName := trusts.Clone()
	otherName.ServerName = "kafka.example.com"
	serves := func(serve func(net.Conn)) func(*testing.T) string {
		return func(t *testing.T) string { t.Helper(); return server(t, serve) }
	}
	says := func(text string) func(*testing.T) string {
		return serves(func(c net.Conn) { _, _ = io.WriteString(c, text) })
	}
	at := func(address string) func(*testing.T) string { return func(*testing.T) string { return address } }
	withTLS := func(t *testing.T) string { t.Helper(); return startBroker(t, kfake.TLS(config)).ListenAddrs()[0] }
	closes := serves(func(c net.Conn) { _ = c.Close() })
	closesLater := serves(func(c net.Conn) { _, _ = c.Read(make([]byte, 4)); _ = c.Close() }) // as a Kafka broker takes TLS
	resets := serves(func(c net.Conn) {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	})
	const unavailable, refused = delivery.Unavailable, delivery.NotAuthorized
	for name, c := range map[string]struct {
		broker func(*testing.T) string
		tls    *tls.Config
		class  delivery.Class
		line   string // what the log tells
	}{
		"refused":                   {at("127.0.0.1:1"), nil, unavailable, "the broker refuses connections"},
		"no such host":              {at("kafka.invalid:9092"), nil, unavailable, "name cannot be resolved"},
		"black hole":                {serves(func(net.Conn) {}), nil, unavailable, "does not answer in time"},
		"closed at once":            {closes, nil, unavailable, "the broker closes connections"},
		"reset at once":             {resets, nil, unavailable, "the broker closes connections"},
		"no Kafka":                  {says("220 secret.example.com ESMTP\r\n"), nil, unavailable, "not a Kafka broker"},
		"a web server":              {says("HTTP/1.1 400 Bad Request\r\nServer: secret\r\n\r\n"), nil, unavailable, "not a Kafka broker"},
		"no Kafka, with TLS":        {says("220 secret.example.com ESMTP\r\n"), trusts, refused, "does not speak TLS"},
		"plain to TLS":              {withTLS, nil, unavailable, "wants another KAFKA_SECURITY_PROTOCOL"},
		"plain to TLS that says so": {says("\x15\x03\x03\x00\x02\x02\x46"), nil, refused, "wants TLS on this port"},
		"TLS to plain":              {closesLater, trusts, unavailable, "the broker closes connections"},
		"strange authority":         {withTLS, strange, refused, "signed by an authority that is not known"},
		"another host":              {withTLS, otherName, refused, "for another host name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log lines
			p := newProducer(t, []string{c.broker(t)}, logTo(&log), func(k *kafka.Config) { k.TLS = c.tls })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			outcome := make(chan error, 1)
			go func() {
				_, err := p.Produce(ctx, record("x"))
				outcome <- err
			}()
			wait.For(t, "the log tells something", func() bool { return log.count() > 0 })
			if c.class == unavailable {
				cancel() // until then it is tried again
			}
			err := wait.Receive(t, "the outcome", outcome)
			wantClass(t, err, c.class)
			limit, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			wantClass(t, p.Check(limit), c.class)
			if e, ok := errors.AsType[*delivery.Error](err); ok && e.Error() != e.Op+": "+string(c.class) {
				t.Errorf("error = %q", e)
			}
			if all := log.String(); log.with(c.line) != 1 || log.count() != 1 || strings.Contains(all, "secret") {
				t.Errorf("logged: %s, want: %s", all, c.line)
			}
		})
	}
}
