package kafka_test

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/kafka"
)

const roundTrip = 10 * time.Millisecond

// secured returns the configuration of a broker and a producer for TLS and a login. In a bubble the certificates use
// the bubble's time.
func secured(t *testing.T) ([]kfake.Opt, func(*kafka.Config)) {
	t.Helper()
	server, client := secure(t, tls.VersionTLS13)
	return []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("PLAIN", "user", "password"), kfake.TLS(server)}, func(c *kafka.Config) {
		c.TLS, c.SASL = client, kafka.Plain("user", "password")
	}
}

// TestAfterAPause stores a record, waits, and stores another one: the second takes one round trip, on an existing
// connection. Pauses are normal for a function app.
func TestAfterAPause(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{4 * time.Second, time.Minute, 170 * time.Second, time.Hour, 3 * time.Hour} {
		for name, secure := range map[string]bool{"plain": false, "TLS and login": true} {
			t.Run(fmt.Sprint(pause, " ", name), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					v := newVirtual(t)
					v.delay = roundTrip
					opts, edit := []kfake.Opt(nil), func(*kafka.Config) {}
					if secure {
						opts, edit = secured(t)
					}
					p := v.producer(t, v.broker(t, opts...).ListenAddrs(), edit)
					store(t, p, "before", patience)
					pass(10 * time.Second) // all lanes are connected
					before := v.connections()
					pass(pause)
					if _, took := store(t, p, "after", patience); took != roundTrip {
						t.Errorf("the record took %v, want one round trip, %v", took, roundTrip)
					}
					// Two lanes and the keeper's connection are replaced when they are half an hour old, and nothing else is.
					most := 3 * int(pause/(24*time.Minute))
					if n := v.connections() - before; n > most {
						t.Errorf("%d connections were made, want at most %d", n, most)
					}
				})
			})
		}
	}
}

// TestFirstAnswer counts the round trips until the first record is stored.
func TestFirstAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		secure bool
		most   int
	}{
		"plain":         {false, 5},
		"TLS and login": {true, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				v.delay = roundTrip
				opts, edit := []kfake.Opt(nil), func(*kafka.Config) {}
				if c.secure {
					opts, edit = secured(t)
				}
				p := v.producer(t, v.broker(t, opts...).ListenAddrs(), edit)
				_, took := store(t, p, "first", patience)
				t.Logf("%v round trips", float64(took)/float64(roundTrip))
				if took > time.Duration(c.most)*roundTrip {
					t.Errorf("the first record took %v, want at most %d round trips", took, c.most)
				}
			})
		})
	}
}

// TestSessions has logins that expire after 10 s (KIP-368): connections are replaced in time, no caller waits, and
// nothing is logged.
func TestSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		opts, edit := secured(t)
		opts = append(opts, kfake.BrokerConfigs(map[string]string{"connections.max.reauth.ms": "10000"}))
		var log lines
		p := v.producer(t, v.broker(t, opts...).ListenAddrs(), edit, logTo(&log))
		for i := range 100 {
			store(t, p, strconv.Itoa(i), time.Second)
			pass(700 * time.Millisecond)
		}
		if len(log.all()) > 0 {
			t.Errorf("logged: %s", log.all())
		}
	})
}

// TestForgottenConnections has a NAT drop all idle connections: only one attempt is lost for all of them.
func TestForgottenConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c := v.broker(t, kfake.SeedTopics(8, topic))
		p := v.producer(t, c.ListenAddrs())
		store(t, p, "before", patience)
		pass(20 * time.Second)
		v.forget()
		if _, took := store(t, p, "first", patience); took < 3*time.Second || took > 3500*time.Millisecond {
			t.Errorf("the first record took %v, want one attempt, 3 s", took)
		}
		for i := range 20 {
			if _, took := store(t, p, strconv.Itoa(i), patience); took > 500*time.Millisecond {
				t.Errorf("record %d took %v: the next connection was not trusted for nothing", i, took)
			}
		}
	})
}

// TestThrottled has a broker that throttles the client (throttle_time_ms, KIP-219).
func TestThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c := v.broker(t)
		p := v.producer(t, c.ListenAddrs())
		store(t, p, "before", patience)
		throttleNext(c, 5*time.Second)
		md, _ := store(t, p, "throttled", patience)
		if md.Throttled != 5*time.Second {
			t.Errorf("the record's place says %v, want 5 s", md.Throttled)
		}
		_, err := p.Produce(within(t, time.Second), record("impatient"))
		wantClass(t, err, "throttled")
		if _, took := store(t, p, "patient", patience); took != 4*time.Second {
			t.Errorf("the next record was sent after %v, want 4 s", took)
		}
		if md, _ := store(t, p, "after", time.Second); md.Throttled != 0 {
			t.Errorf("the record's place says %v, want nothing", md.Throttled)
		}
	})
}

// throttleNext sets a throttle time in the answer to the next Produce request.
func throttleNext(c *kfake.Cluster, d time.Duration) {
	c.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		resp := answerOf(r, 0, 0)
		resp.ThrottleMillis = int32(d.Milliseconds())
		return resp, nil, true
	})
}
