package kafka_test

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/local/realkafka"
	"userrelay/test/must"
)

const roundTrip = 10 * time.Millisecond

// secure returns the TLS configurations of a broker with such a certificate and of a client that trusts its authority.
// In a bubble the certificate uses the bubble's time.
func secure(t *testing.T, spec realkafka.CertSpec) (server, client *tls.Config) {
	t.Helper()
	ca := must.Get[*realkafka.CA](t)(realkafka.NewCA("test"))
	cert := must.Get[realkafka.Cert](t)(ca.Issue(spec))
	pair := must.Get[tls.Certificate](t)(tls.X509KeyPair(cert.CertPEM, cert.KeyPEM))
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, ca.Client()
}

// secured starts a broker and a producer, where secure is true with TLS and a login.
func (v *virtual) secured(with bool, more ...kfake.Opt) *kafka.Producer {
	v.Helper()
	if !with {
		return v.producer(v.broker(more...))
	}
	server, client := secure(v.T, realkafka.CertSpec{})
	b := v.broker(append(more, kfake.EnableSASL(), kfake.Superuser("PLAIN", "user", "password"), kfake.TLS(server))...)
	return v.producer(b, login("user", "password"), func(c *kafka.Config) { c.TLS = client })
}

// TestAfterAPause stores a record, waits, and stores another one: the second takes one round trip, on an existing
// connection. Pauses are normal for a function app.
func TestAfterAPause(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{4 * time.Second, 170 * time.Second, 3 * time.Hour} {
		for _, secure := range []bool{false, true} {
			virtually(t, fmt.Sprint(pause, " TLS and login ", secure), func(v *virtual) {
				v.slow(roundTrip)
				p := v.secured(secure)
				v.store(p, record("before"))
				pass(10 * time.Second) // all lanes are connected
				before := v.dials.Load()
				pass(pause)
				if _, took := v.store(p, record("after")); took != roundTrip {
					v.Errorf("the record took %v, want one round trip, %v", took, roundTrip)
				}
				// Two lanes and the keeper's connection are replaced when they are half an hour old, and nothing else is.
				most := 3 * int32(pause/(24*time.Minute))
				if n := v.dials.Load() - before; n > most {
					v.Errorf("%d connections were made, want at most %d", n, most)
				}
			})
		}
	}
}

// TestFirstAnswer counts the round trips until the first record is stored.
func TestFirstAnswer(t *testing.T) {
	t.Parallel()
	for secure, most := range map[bool]time.Duration{false: 5 * roundTrip, true: 8 * roundTrip} {
		virtually(t, fmt.Sprint("TLS and login ", secure), func(v *virtual) {
			v.slow(roundTrip)
			if _, took := v.store(v.secured(secure), record("first")); took > most {
				v.Errorf("the first record took %v, want at most %v", took, most)
			}
		})
	}
}

// TestSessions has logins that expire after 10 s (KIP-368): connections are replaced in time, no caller waits. The broker
// has no idempotent producers, so that a lost request would be noticed.
func TestSessions(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		reauth := kfake.BrokerConfigs(map[string]string{"connections.max.reauth.ms": "10000"})
		p := v.secured(true, reauth, kfake.MaxVersions(eventHubsVersions(false)))
		for i := range 100 {
			if _, took := v.store(p, record(strconv.Itoa(i))); took > time.Second {
				v.Errorf("record %d took %v", i, took)
			}
			pass(700 * time.Millisecond)
		}
	})
}

// TestSilentLogin has a broker stop answering during the login, from the start or when connections are made again.
func TestSilentLogin(t *testing.T) {
	t.Parallel()
	for _, key := range []kmsg.Key{kmsg.SASLHandshake, kmsg.SASLAuthenticate} {
		for _, later := range []bool{false, true} {
			virtually(t, fmt.Sprint(key.Name(), ", later: ", later), func(v *virtual) {
				b := v.broker(kfake.EnableSASL(), kfake.Superuser("PLAIN", "user", "password"))
				var silent atomic.Bool
				silent.Store(!later)
				control(b, key, func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, silent.Load() })
				p := v.producer(b, login("user", "password"))
				if later {
					v.store(p, record("before"))
					silent.Store(true)
					v.cut(b.ListenAddrs()[0])
				}
				_, err := v.try(v.within(30*time.Second), p, record("x"))
				wantClass(v, err, delivery.Unavailable)
				silent.Store(false)
				v.storeAfter(p)
			})
		}
	}
}

// TestRenewedCertificates changes the authority of both sides while the producer runs: each new connection uses the
// current certificates.
func TestRenewedCertificates(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		var servers, clients [2]*tls.Config
		for i := range servers {
			servers[i], clients[i] = secure(v.T, realkafka.CertSpec{})
		}
		var now atomic.Int32
		b := v.broker(kfake.TLS(&tls.Config{
			MinVersion:         tls.VersionTLS12,
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return servers[now.Load()], nil },
		}))
		p := v.producer(b, func(c *kafka.Config) {
			c.TLS, c.CurrentTLS = clients[0], func() *tls.Config { return clients[now.Load()] }
		})
		v.store(p, record("before"))
		now.Store(1)
		v.cut(b.ListenAddrs()[0])
		v.store(p, record("after"))
	})
}

// TestThrottled has a broker that throttles the client (throttle_time_ms, KIP-219).
func TestThrottled(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		c := v.broker()
		p := v.producer(c)
		v.store(p, record("before"))
		throttle := int32(5000) // of the first answer
		answer(c, kmsg.Produce, func(resp *kmsg.ProduceResponse) {
			produced(resp, 0, 0)
			resp.ThrottleMillis, throttle = throttle, 0
		})
		if md, _ := v.store(p, record("throttled")); md.Throttled != 5*time.Second {
			v.Errorf("the record's place says %v, want 5 s", md.Throttled)
		}
		_, err := p.Produce(v.within(time.Second), record("impatient"))
		wantClass(v, err, delivery.Throttled)
		if md, took := v.store(p, record("patient")); took != 4*time.Second || md.Throttled != 0 {
			v.Errorf("the next record was sent after %v, want 4 s; its place says %v", took, md.Throttled)
		}
	})
}

// TestSCRAM logs in with names and passwords that SASLprep would change or refuse. userrelay/test/kafka has more of them.
func TestSCRAM(t *testing.T) {
	t.Parallel()
	for mechanism, password := range map[string]string{"SCRAM-SHA-256": "½\u00a0🔑", "SCRAM-SHA-512": "n=,r=,\n"} {
		virtually(t, mechanism, func(v *virtual) {
			b := v.broker(kfake.EnableSASL(), kfake.Superuser(mechanism, "alice", password))
			p := v.producer(b, func(c *kafka.Config) { c.SASL = kafka.SCRAM(mechanism, "alice", password) })
			v.store(p, record("x"))
			v.cut(b.ListenAddrs()[0])
			v.store(p, record("y")) // a mechanism logs in many times
		})
	}
}

// A broker that does not know the password is not trusted.
func TestSCRAMBrokerMustProve(t *testing.T) {
	t.Parallel()
	session, first, err := kafka.SCRAM("SCRAM-SHA-256", "alice", "secret").Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, nonce, _ := strings.Cut(string(first), ",r=")
	if done, _, err := session.Next(t.Context(), []byte("r="+nonce+"of-the-broker,s=c2FsdA==,i=4096")); done || err != nil {
		t.Fatalf("done %t, error %v", done, err)
	}
	for _, final := range []string{"v=AAAA", "e=", "", "v="} {
		if _, _, err := session.Next(t.Context(), []byte(final)); err == nil {
			t.Errorf("%q is taken for a proof", final)
		}
	}
}
