package simulation

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"userrelay/handler/app"
	"userrelay/handler/identity"
	"userrelay/handler/insights/ingest"
	"userrelay/handler/kafka"
	"userrelay/handler/outbox"
	"userrelay/handler/registration"
)

// life is a life of a handler: the program without a process.
type life struct {
	*process
	host      *host
	address   string
	app       *app.App
	listener  net.Listener
	transport *http.Transport // the host's
	end       context.CancelFunc
	served    chan struct{}
	up        atomic.Bool // it has answered the host's first probe
	closing   atomic.Bool

	// Guarded by the world's mutex.
	from, to time.Duration // to is 0 while it lives
}

func newLife(h *host, name string) *life {
	l := &life{
		process: &process{wires: h.wires, name: name}, host: h, address: name + ":80", served: make(chan struct{}),
		from: time.Since(h.w.begin),
	}
	l.die = l.kill
	l.transport = &http.Transport{DialContext: route{net: h.w.net, from: l.process}.dial, MaxIdleConnsPerHost: 100}
	return l
}

// config returns the handler's configuration, as from its settings.
func (l *life) config() app.Config {
	w, s := l.w, l.w.plan.Setup
	account := must(outbox.ParseConnectionString(w.queue.ConnectionString()))
	c := app.Config{
		Kafka: kafka.Config{
			Topic: topic, ClientID: "userrelay", Dial: route{net: w.net, from: l.process, kafka: true}.dial,
		},
		KafkaTimeout:  2 * time.Second,
		Outbox:        &outbox.Config{Account: account, Client: &http.Client{Transport: queueLink{l.process}}},
		OutboxTimeout: 1500 * time.Millisecond,
		Decoder:       registration.Decoder{Profile: s.Profile},
		Now:           l.clock.now,
		Role:          "userrelay", Instance: l.name, Version: "simulated", Console: slog.New(slog.DiscardHandler),
	}
	for i := range s.Brokers {
		c.Kafka.Brokers = append(c.Kafka.Brokers, brokerAddress(i))
	}
	if s.TLS {
		c.Kafka.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // G402: a certificate of this run
	}
	switch s.Login {
	case "PLAIN":
		c.Kafka.SASL = kafka.Plain(login, password)
	case "SCRAM-SHA-256":
		c.Kafka.SASL = kafka.SCRAM(s.Login, login, password)
	case "OAUTHBEARER":
		c.Kafka.SASL = kafka.OAuthBearer(identity.NewTokensAt(w.token, l.clock.now), nil)
	}
	if s.Telemetry {
		endpoint := "InstrumentationKey=01234567-89ab-cdef-0123-456789abcdef;IngestionEndpoint=http://" + sinkAddress
		c.Insights = &ingest.Config{Connection: must(ingest.ParseConnection(endpoint)), Transport: sinkLink{l.process}}
	}
	return c
}

// token is the identity service's.
func (w *world) token(ctx context.Context) (string, time.Time, error) {
	for w.noTokens.Load() {
		if err := sleep(ctx, time.Second); err != nil {
			return "", time.Time{}, fmt.Errorf("no tokens now: %w", err)
		}
	}
	return "token", time.Now().Add(10 * time.Minute), nil
}

// start starts the handler, and probes it until it answers.
func (l *life) start() {
	w := l.w
	w.mu.Lock()
	w.lives[l.name] = l
	w.mu.Unlock()
	w.logf("%s starts", l.name)
	l.app = must(app.New(l.config()))
	l.listener = must(w.net.Listen("tcp", l.address))
	ctx, end := context.WithCancel(context.Background())
	l.end = end
	w.wg.Go(func() {
		if err := l.app.Serve(ctx, l.listener); err != nil && !l.gone() {
			w.problem("%s does not serve: %v", l.name, err)
		}
		close(l.served)
	})
	w.wg.Go(func() {
		for ctx.Err() == nil {
			req := must(http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.address+"/", http.NoBody))
			resp, err := l.transport.RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close()
				l.up.Store(true)
				return
			}
			<-time.After(100*time.Millisecond + w.jitter(l.name, "ready"))
		}
	})
}

func (l *life) ready() bool { return l.up.Load() && !l.gone() }

// kill is like kill -9: nothing that the handler still does has an effect outside.
func (l *life) kill() {
	l.dead.Store(true)
	_ = l.listener.Close()
	l.cut()
	l.host.lost(l)
	if l.closing.Swap(true) {
		return // it was told to end before, and is buried by who told it
	}
	l.ended(true)
	l.w.wg.Go(func() {
		l.end()
		<-l.served
		l.app.Close()
		l.transport.CloseIdleConnections()
		l.cut()
	})
}

// cut cuts the connections of this life.
func (l *life) cut() {
	l.w.net.cut(func(c *conn) bool { return c.from == l.process })
}

// stop is like SIGTERM. It returns when the handler has ended.
func (l *life) stop() {
	if l.closing.Swap(true) {
		return
	}
	l.host.lost(l)
	l.end()
	<-l.served
	l.app.Close()
	l.ended(l.dead.Swap(true))
	l.cut()
	l.transport.CloseIdleConnections()
}

// ended notes the end of this life.
func (l *life) ended(killed bool) {
	l.w.mu.Lock()
	l.to = time.Since(l.w.begin)
	l.w.mu.Unlock()
	l.w.logf("%s is gone, killed %v", l.name, killed)
}

// newCertificate makes a certificate that nobody verifies.
func newCertificate() tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
