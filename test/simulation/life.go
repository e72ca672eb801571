package simulation

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
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
	host      *host
	name      string
	address   string
	link      *link
	app       *app.App
	listener  *listener
	transport *http.Transport // the host's
	end       context.CancelFunc
	served    chan struct{}
	up        atomic.Bool // it has answered the host's first probe
	closing   atomic.Bool
}

func newLife(h *host, name string) *life {
	l := &life{host: h, name: name, address: name + ":80", served: make(chan struct{})}
	l.link = &link{wires: h.wires, name: name}
	l.link.die = l.kill
	l.transport = &http.Transport{DialContext: l.dial, MaxIdleConnsPerHost: 100}
	return l
}

// config returns the handler's configuration, as from its settings.
func (l *life) config() app.Config {
	w, s := l.host.w, l.host.w.plan.Setup
	account, err := outbox.ParseConnectionString(w.queue.ConnectionString())
	w.must(err)
	way := &queueLink{w: w, wires: l.host.queue, name: l.name, dead: &l.link.dead, step: l.link.step}
	c := app.Config{
		Kafka: kafka.Config{
			Topic: topic, ClientID: "userrelay", SASL: nil,
			Dial: func(ctx context.Context, _, at string) (net.Conn, error) {
				c, err := w.net.dial(ctx, l.link, at)
				if err != nil {
					return nil, err
				}
				return c, nil
			},
		},
		KafkaTimeout: 2 * time.Second,
		Outbox:       &outbox.Config{Account: account, Client: &http.Client{Transport: way}}, OutboxTimeout: 1500 * time.Millisecond,
		Decoder: registration.Decoder{Profile: s.Profile},
		Now:     l.host.clock.now,
		Role:    "userrelay", Instance: l.name, Version: "simulated", Console: slog.New(slog.DiscardHandler),
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
		c.Kafka.SASL = kafka.OAuthBearer(identity.NewTokensAt(w.token, l.host.clock.now), nil)
	}
	if s.Telemetry {
		way := &sinkLink{w: w, dead: &l.link.dead}
		c.Insights = &ingest.Config{Connection: w.sink.connection(), Transport: way}
	}
	return c
}

var errNoTokens = errors.New("no tokens now")

// token is the identity service's.
func (w *world) token(ctx context.Context) (string, time.Time, error) {
	for w.noTokens.Load() { // it sleeps
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return "", time.Time{}, errors.Join(errNoTokens, ctx.Err())
		}
	}
	return "token", time.Now().Add(10 * time.Minute), nil
}

// start starts the handler, and probes it until it answers.
func (l *life) start() {
	w := l.host.w
	var err error
	l.app, err = app.New(l.config())
	w.must(err)
	l.listener, err = w.net.listen(l.address)
	w.must(err)
	ctx, end := context.WithCancel(context.Background())
	l.end = end
	w.wg.Go(func() {
		if err := l.app.Serve(ctx, l.listener); err != nil && !l.link.gone() {
			w.problem("%s does not serve: %v", l.name, err)
		}
		close(l.served)
	})
	w.wg.Go(func() {
		for ctx.Err() == nil {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://handler/", http.NoBody)
			w.must(err)
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

func (l *life) ready() bool { return l.up.Load() && !l.link.gone() }

// kill is like kill -9: nothing that the handler still does has an effect outside.
func (l *life) kill() {
	l.link.dead.Store(true)
	w := l.host.w
	_ = l.listener.Close()
	w.net.cut(l.owns)
	l.host.lost(l)
	if l.closing.Swap(true) {
		return // it was told to end before, and is buried by who told it
	}
	w.died(l.name, true)
	w.wg.Go(func() {
		l.end()
		<-l.served
		l.app.Close()
		l.transport.CloseIdleConnections()
		w.net.cut(l.owns)
	})
}

// owns says that a connection belongs to this life.
func (l *life) owns(c *conn) bool {
	switch p := c.path.(type) {
	case *link:
		return p == l.link
	case *plainPath:
		return p.dead == &l.link.dead
	}
	return false
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
	l.host.w.died(l.name, l.link.dead.Swap(true))
	l.host.w.net.cut(l.owns)
	l.transport.CloseIdleConnections()
}

func (w *world) born(name string) {
	w.mu.Lock()
	w.lives = append(w.lives, lifetime{name: name, from: time.Since(w.begin)})
	w.mu.Unlock()
	w.logf("%s starts", name)
}

func (w *world) died(name string, killed bool) {
	w.mu.Lock()
	for i := range w.lives {
		if w.lives[i].name == name {
			w.lives[i].to, w.lives[i].killed = time.Since(w.begin), killed
		}
	}
	w.mu.Unlock()
	w.logf("%s is gone, killed %v", name, killed)
}

// newCertificate makes a certificate for this run.
func newCertificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "simulation"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(fmt.Errorf("make a certificate: %w", err))
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
