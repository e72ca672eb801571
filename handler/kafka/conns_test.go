package kafka_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/handler/registration"
	"userrelay/local/realkafka"
	"userrelay/test/kafka/ledger"
	"userrelay/test/wait"
)

// secure returns a broker's TLS configuration and that of a client that trusts it, for one version of TLS.
func secure(t *testing.T, version uint16) (server, client *tls.Config) {
	t.Helper()
	ca, err := realkafka.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(realkafka.CertSpec{})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert.CertPEM, cert.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: version, MaxVersion: version}, ca.Client()
}

// TestIdleConnectionsCut cuts all idle connections. The next records use new connections and have a known outcome. The
// broker has no idempotent producers here, so a batch with an unknown outcome could not be repeated.
func TestIdleConnectionsCut(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"plain": 0, "TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		for how, reset := range map[string]bool{"closed": false, "reset": true} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				wait.LongEnough(t, "answers within the time of an attempt", time.Second, func(time.Duration) bool {
					return idleConnectionsCut(t, version, reset)
				})
			})
		}
	}
}

// idleConnectionsCut says whether this machine was fast enough for every attempt: a timeout would cause an unknown
// outcome as well.
func idleConnectionsCut(t *testing.T, version uint16, reset bool) bool {
	t.Helper()
	connections := &listener{}
	opts := []kfake.Opt{
		kfake.NumBrokers(2), kfake.SeedTopics(8, topic), // for more lanes than one broker has
		kfake.MaxVersions(withoutIDs()), kfake.ListenFn(connections.listen),
	}
	edit := func(*kafka.Config) {}
	if version != 0 {
		server, client := secure(t, version)
		opts = append(opts, kfake.TLS(server))
		edit = func(c *kafka.Config) { c.TLS = client }
	}
	c := startBroker(t, opts...)
	p := &timed{Producer: newProducer(t, c.ListenAddrs(), edit)}
	for round := range 2 {
		if err := openMany(t, connections, p); err != nil && !p.late.Load() {
			t.Fatal(err, errors.Unwrap(err))
		}
		if p.late.Load() {
			return false
		}
		if n := connections.cut(t, reset); n < 13 {
			t.Fatalf("%d connections were cut, the test wants more", n)
		}
		<-time.After(1100 * time.Millisecond) // only after a pause does a connection look at itself
		var l ledger.Ledger
		l.Run(t.Context(), p, ledger.Load{Callers: 13, Each: 5, Timeout: patience, Name: fmt.Sprint(round, "-")})
		if p.late.Load() {
			return false
		}
		if r, _ := l.Compare(nil); r.Acknowledged != 13*5 {
			t.Errorf("round %d: %v", round, r)
		}
	}
	return true
}

// timed is a producer that notes whether an attempt took too long.
type timed struct {
	*kafka.Producer
	late atomic.Bool
}

func (p *timed) Produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
	md, err := p.Producer.Produce(ctx, r)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.late.Store(true)
	}
	return md, err
}

// openMany makes a producer open a connection for each of its lanes, by delaying answers.
func openMany(t *testing.T, connections *listener, p *timed) error {
	t.Helper()
	ctx := wait.Context(t)
	if _, err := p.Produce(ctx, ledger.Record("many")); err != nil {
		return err
	}
	waiting, release := connections.hold()
	var sent sync.WaitGroup
	errs := make(chan error, 1)
	wait.For(t, "all lanes are out", func() bool {
		id := fmt.Sprint("many-", rand.Uint64())
		sent.Go(func() {
			if _, err := p.Produce(ctx, ledger.Record(id)); err != nil {
				select {
				case errs <- err:
				default:
				}
			}
		})
		return waiting() >= 13 || p.late.Load()
	})
	release()
	sent.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// withoutIDs are the versions of a broker without InitProducerID.
func withoutIDs() *kversion.Versions {
	v := kversion.Stable()
	var kept kversion.Versions
	v.EachMaxKeyVersion(func(key, version int16) {
		if key != kmsg.InitProducerID.Int16() {
			kept.SetMaxKeyVersion(key, version)
		}
	})
	return &kept
}

// TestRestedConnection stores a record on a real connection that was idle beyond the last request's deadline: it is
// used again. The tests in virtual time have no socket to check.
func TestRestedConnection(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"plain": false, "TLS and login": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connections := &listener{}
			opts, edit := []kfake.Opt{kfake.ListenFn(connections.listen)}, func(*kafka.Config) {}
			if secure {
				more, withTLS := secured(t)
				opts, edit = append(opts, more...), withTLS
			}
			p := newProducer(t, startBroker(t, opts...).ListenAddrs(), edit)
			produce(t, p, "before")
			wait.For(t, "all lanes are connected", func() bool { n, _ := connections.count(); return n >= 9 })
			<-time.After(4 * time.Second)
			before, _ := connections.count()
			produce(t, p, "after")
			if after, _ := connections.count(); after != before {
				t.Errorf("%d connections were made", after-before)
			}
		})
	}
}

// TestOldConnections has connections reach their maximum age repeatedly under load: they are replaced without an
// effect on callers. The broker has no idempotent producers, so that a lost request would be noticed.
func TestOldConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const age = time.Minute
		v := newVirtual(t)
		c := v.broker(t, kfake.MaxVersions(withoutIDs()))
		p := kafka.NewWithAge(kafka.Config{Brokers: c.ListenAddrs(), Topic: topic, Dial: v.dial}, age)
		defer closeNow(t, p)
		store(t, p, "before", patience)
		pass(time.Second) // all lanes are connected
		before := v.connections()
		var l ledger.Ledger
		l.Run(t.Context(), p, ledger.Load{Callers: 16, Each: 1200, Timeout: patience, Pause: 500 * time.Millisecond})
		l.Note("before", delivery.RecordMetadata{}, nil)
		if r := compareVirtual(t, v, &l, c); r.Acknowledged != 16*1200+1 {
			t.Error(r)
		}
		if n := v.connections() - before; n < 10 {
			t.Errorf("%d connections were made in ten minutes, want one a minute at least", n)
		}
	})
}

// TestSilentLogin has a broker stop answering during the login, from the start or later.
func TestSilentLogin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key   kmsg.Key
		later bool
	}{
		"handshake":            {kmsg.SASLHandshake, false},
		"authentication":       {kmsg.SASLAuthenticate, false},
		"handshake, later":     {kmsg.SASLHandshake, true},
		"authenticating later": {kmsg.SASLAuthenticate, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBroker(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "user", "password"))
			var mu sync.Mutex
			silent := !c.later
			swallowed := 0
			b.ControlKey(c.key.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
				b.KeepControl()
				mu.Lock()
				defer mu.Unlock()
				if silent {
					swallowed++
				}
				return nil, nil, silent
			})
			p := kafka.NewWithAge(kafka.Config{
				Brokers: b.ListenAddrs(), Topic: topic, SASL: kafka.Plain("user", "password"),
			}, 20*time.Millisecond)
			defer closeNow(t, p)
			if c.later {
				produce(t, p, "before")
				mu.Lock()
				silent = true
				mu.Unlock()
			}
			wait.For(t, "records are not stored because the broker is silent", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				_, err := p.Produce(ctx, ledger.Record("x"))
				if class := delivery.ClassOf(err); err != nil && class != delivery.Unavailable && class != delivery.UnknownOutcome {
					t.Errorf("error = %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				return err != nil && swallowed > 0
			})
			mu.Lock()
			silent = false
			mu.Unlock()
			produce(t, p, "after") // within patience
		})
	}
}

// TestStartBeforeTheBroker starts a producer whose broker is not there yet.
func TestStartBeforeTheBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const address = "127.0.0.1:9001"
		v := newVirtual(t)
		v.set(address, refuses)
		var log lines
		p := v.producer(t, []string{address}, logTo(&log))
		call := begin(t.Context(), p, ledger.Record("x"))
		pass(10 * time.Second)
		if log.with("refuses connections") != 1 {
			t.Errorf("logged: %s", log.all())
		}
		v.set(address, normal)
		v.broker(t)
		if _, err := call.wait(t); err != nil {
			t.Errorf("error = %v", err)
		}
		pass(time.Second)
		if log.with("Kafka answers") != 1 {
			t.Errorf("logged: %s", log.all())
		}
	})
}

// TestLeaderChangeKeepsConnections moves partitions between known brokers, and counts the connections.
func TestLeaderChangeKeepsConnections(t *testing.T) {
	t.Parallel()
	connections := &listener{}
	c := startBroker(t, kfake.NumBrokers(3), kfake.SeedTopics(3, topic), kfake.ListenFn(connections.listen))
	p := newProducer(t, c.ListenAddrs())
	for i := range 3 {
		if err := errors.Join(c.MoveTopicPartition(topic, int32(i), int32(i))); err != nil {
			t.Fatal(err)
		}
	}
	store := func(n int) {
		for i := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if _, err := p.Produce(ctx, keyed(fmt.Sprint(n, "-", i), keyIn(i, 3, 0))); err != nil {
				t.Error(err)
			}
			cancel()
		}
	}
	store(0)
	const (
		moves = 10
		lanes = 3 * 8
	)
	for n := range moves {
		for i := range 3 {
			if err := c.MoveTopicPartition(topic, int32(i), int32((i+n)%3)); err != nil {
				t.Fatal(err)
			}
		}
		store(n + 1)
	}
	// One for each lane and for each broker's metadata, and now and then one more because the previous one is still in
	// use. If the producer reconnected at each change, there would be four connections for each change, besides those
	// of the lanes.
	if n, _ := connections.count(); n > lanes+3+moves {
		t.Errorf("%d connections were made in %d changes", n, moves)
	}
}
