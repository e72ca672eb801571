package wire_test

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/handler/kafka/wire"
	"userrelay/local/realkafka"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// accepted is a listener that tells of each connection.
type accepted struct {
	net.Listener
	conns chan net.Conn
}

func (a accepted) Accept() (net.Conn, error) {
	c, err := a.Listener.Accept()
	if err == nil {
		a.conns <- c
	}
	return c, err
}

// TestGood has a broker leave a connection alone after a request, for longer than the request's deadline, or end it. The
// tests in virtual time have no socket to check.
func TestGood(t *testing.T) {
	t.Parallel()
	ca := must.Get[*realkafka.CA](t)(realkafka.NewCA("test"))
	cert := must.Get[realkafka.Cert](t)(ca.Issue(realkafka.CertSpec{}))
	pair := must.Get[tls.Certificate](t)(tls.X509KeyPair(cert.CertPEM, cert.KeyPEM))
	for name, version := range map[string]uint16{"plain": 0, "TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		for how, end := range map[string]func(net.Conn) error{
			"left alone": nil,
			"closed":     net.Conn.Close,
			"reset": func(c net.Conn) error {
				if t, ok := c.(*tls.Conn); ok {
					c = t.NetConn()
				}
				if tcp, ok := c.(*net.TCPConn); ok {
					_ = tcp.SetLinger(0)
				}
				return c.Close()
			},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				conns, config := make(chan net.Conn, 10), wire.Config{ClientID: "test"}
				if version != 0 {
					config.TLS = ca.Client
				}
				b := must.Get[*kfake.Cluster](t)(kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "topic"),
					kfake.ListenFn(func(network, address string) (net.Listener, error) {
						l, err := (&net.ListenConfig{}).Listen(context.Background(), network, address)
						if version != 0 {
							l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: version, MaxVersion: version})
						}
						return accepted{l, conns}, err
					})))
				defer b.Close()
				d := wire.NewDialer(config)
				defer d.Close()
				var conn *wire.Conn
				good := func() bool { return conn.Good(time.Now().Add(2 * time.Second)) } // only after a pause does it look at itself
				address := strings.Replace(b.ListenAddrs()[0], "127.0.0.1", "localhost", 1)
				err := wire.NewCluster(nil, "topic", d).With(t.Context(), address, func(l *wire.Conn, deadline time.Time) error {
					conn = l
					if _, err := l.Metadata(deadline, "topic"); err != nil {
						return err
					}
					return l.SetDeadline(time.Unix(1, 0))
				})
				if err != nil || !good() || !good() {
					t.Fatalf("it cannot be used: %v", err)
				}
				if end != nil {
					_ = end(<-conns)
					wait.For(t, "its end is noticed", func() bool { return !good() })
				}
			})
		}
	}
}
