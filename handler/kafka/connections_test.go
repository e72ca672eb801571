package kafka_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/local/realkafka"
	"userrelay/test/must"
	"userrelay/test/recorder"
	"userrelay/test/wait"
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
	says := func(text string) string { return server(t, func(c net.Conn) { _, _ = io.WriteString(c, text) }) }
	withTLS := startBroker(t, kfake.TLS(config)).ListenAddrs()[0]
	closes := server(t, func(c net.Conn) { _ = c.Close() })
	closesLater := server(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 4)); _ = c.Close() }) // as a Kafka broker takes TLS
	resets := server(t, func(c net.Conn) {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	})
	const unavailable, refused = delivery.Unavailable, delivery.NotAuthorized
	for name, c := range map[string]struct {
		broker string
		tls    *tls.Config
		class  delivery.Class
		line   string // what the log tells
	}{
		"refused":                   {"127.0.0.1:1", nil, unavailable, "the broker refuses connections"},
		"no such host":              {"kafka.invalid:9092", nil, unavailable, "name cannot be resolved"},
		"black hole":                {server(t, func(net.Conn) {}), nil, unavailable, "does not answer in time"},
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
			var log recorder.Recorder
			p := newProducer(t, []string{c.broker}, logTo(&log), func(k *kafka.Config) { k.TLS = c.tls })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			outcome := make(chan error, 1)
			go func() {
				_, err := p.Produce(ctx, record("x"))
				outcome <- err
			}()
			wait.For(t, "the log tells something", func() bool { return told(&log, "\n") > 0 })
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
			if all := log.String(); told(&log, c.line) != 1 || told(&log, "\n") != 1 || strings.Contains(all, "secret") {
				t.Errorf("logged: %s, want: %s", all, c.line)
			}
		})
	}
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

// TestOldConnections has connections reach their maximum age repeatedly under load, or the end of their login (KIP-368):
// they are replaced in time, and no caller waits. The broker has no idempotent producers, so that a lost request would
// be noticed.
func TestOldConnections(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		login       bool
		reauth      string        // ms
		lasts       time.Duration // of the load
		pause       time.Duration
		least, most int32 // connections
	}{
		"age": {false, "0", 2 * time.Hour, 6 * time.Second, 4, 40}, // some each half an hour
		"end": {true, "10000", 70 * time.Second, 700 * time.Millisecond, 7, 100},
	} {
		virtually(t, name, func(v *virtual) {
			reauth := kfake.BrokerConfigs(map[string]string{"connections.max.reauth.ms": c.reauth})
			p := v.secured(c.login, reauth, kfake.MaxVersions(eventHubsVersions(false)))
			v.store(p, record("before"))
			pass(time.Second) // all lanes are connected
			before, began := v.dials.Load(), time.Now()
			for time.Since(began) < c.lasts {
				start := time.Now()
				v.wantEach(v.beginMany(v.Context(), p, 4), stored)
				if took := time.Since(start); took > time.Second {
					v.Errorf("after %v: records took %v", start.Sub(began), took)
				}
				pass(c.pause)
			}
			if n := v.dials.Load() - before; n < c.least || n > c.most {
				v.Errorf("%d connections were made, want %d to %d", n, c.least, c.most)
			}
		})
	}
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
