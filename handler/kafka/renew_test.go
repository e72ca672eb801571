package kafka_test

import (
	"crypto/tls"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/handler/kafka"
)

// TestRenewedCertificates changes the authority of both sides while the producer runs: each new connection uses the
// current certificates.
func TestRenewedCertificates(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var servers, clients [2]*tls.Config
			for i := range servers {
				servers[i], clients[i] = secure(t, version)
			}
			var now atomic.Int32
			server := &tls.Config{
				MinVersion:         version,
				GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return servers[now.Load()], nil },
			}
			connections := &listener{}
			c := startBroker(t, kfake.TLS(server), kfake.ListenFn(connections.listen))
			p := newProducer(t, c.ListenAddrs(), func(c *kafka.Config) {
				c.TLS, c.CurrentTLS = clients[0], func() *tls.Config { return clients[now.Load()] }
			})
			produce(t, p, "before")
			now.Store(1)
			connections.cut(t, false)
			produce(t, p, "after")
		})
	}
}
