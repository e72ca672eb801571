package ingest_test

import (
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/insights/ingest"
)

// TestCloseInTime closes senders in every state that an endpoint can cause, by several goroutines at once, and again.
func TestCloseInTime(t *testing.T) {
	const second = time.Second
	for _, c := range []struct {
		name      string
		byDefault step
		wait      time.Duration // until Close
		limit     time.Duration
		want      time.Duration // that it takes
		accepted  int64         // of two
	}{
		{"nothing sent yet", step{}, 0, second, 0, 2},
		{"all is sent", step{}, 3 * second, second, 0, 2},
		{"the endpoint hangs", step{hang: true}, 95 * second, second, 900 * time.Millisecond, 0},
		{"the endpoint is hung up on by Close", step{hang: true}, 0, second, 900 * time.Millisecond, 0},
		{"no time", step{hang: true}, 0, 0, 0, 0},
		{"in the back-off", step{status: 503}, 60 * second, second, 0, 0},
		{"no connection", step{status: broken}, 600 * second, second, 0, 0},
		{"throttled for minutes", step{status: 429, retryAfter: "300"}, 30 * second, second, 0, 0},
		{"throttled until a date", step{status: 429, retryAfter: "Fri, 31 Dec 9999 23:59:59 GMT"}, 30 * second, second, 0, 0},
		{"the cap is reached", step{status: 402, retryAfter: "300"}, 30 * second, second, 0, 0},
		{"without a token", step{status: 401}, 30 * second, second, 0, 0},
		{"every batch too large", step{status: 413}, 30 * second, second, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSender(t, ingest.Config{Transport: &endpoint{byDefault: c.byDefault}})
				track(s, "m0")
				track(s, "m1")
				<-time.After(c.wait)
				start := time.Now()
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() { s.Close(c.limit) })
				}
				all.Wait()
				if took := time.Since(start); took != c.want {
					t.Errorf("Close took %v, want %v", took, c.want)
				}
				synctest.Wait()
				track(s, "late")
				s.Close(c.limit)
				s.Close(0)
				st := s.Stats()
				addUp(t, st)
				if st.Accepted < c.accepted || st.Pending != 0 || st.Dropped == 0 || time.Since(start) != c.want {
					t.Errorf("%+v after %v", st, time.Since(start))
				}
			})
		})
	}
}

// TestCloseOfAFullQueue has more items than the sender holds, and an endpoint that recovers just in time, or does not.
func TestCloseOfAFullQueue(t *testing.T) {
	for recovers, want := range map[bool]string{
		true:  `lost=1 reason=full`,
		false: `reason=closed`,
	} {
		synctest.Test(t, func(t *testing.T) {
			e, out := &endpoint{byDefault: step{status: 503}}, &console{}
			s := newSender(t, ingest.Config{Transport: e, Log: out.log()})
			for s.Stats().Dropped == 0 {
				track(s, strings.Repeat("x", 60_000))
				synctest.Wait()
			}
			if recovers {
				e.then(step{})
			}
			start := time.Now()
			s.Close(time.Second)
			st := s.Stats()
			kept := st.Tracked - 1
			if !recovers {
				kept = 0
			}
			if st.Accepted != kept || st.Dropped != st.Tracked-kept || st.Pending != 0 || st.Tracked < 280 || time.Since(start) != 0 {
				t.Errorf("recovers %t: %+v", recovers, st)
			}
			if !strings.Contains(out.String(), want) {
				t.Errorf("recovers %t: the loss at the end is not told: %s", recovers, out)
			}
		})
	}
}

// heedless is a transport that ignores its context.
type heedless struct{ until chan struct{} }

func (h heedless) RoundTrip(*http.Request) (*http.Response, error) {
	<-h.until
	return nil, errors.New("at last")
}

func TestCloseDoesNotWaitForWhatDoesNotHeedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := heedless{make(chan struct{})}
		s := newSender(t, ingest.Config{Transport: transport})
		track(s, "m")
		<-time.After(2 * time.Second)
		start := time.Now()
		s.Close(time.Second)
		if took := time.Since(start); took != time.Second {
			t.Errorf("Close took %v", took)
		}
		addUp(t, s.Stats())
		close(transport.until)
		s.Close(time.Second)
		if st := s.Stats(); st.Dropped != 1 || st.Pending != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestTrackMeetsClose has writers that reuse their lines, run concurrently with Close, and go on after it. The race
// detector reports a line that is read after Track.
func TestTrackMeetsClose(t *testing.T) {
	for range 20 {
		e := &endpoint{}
		s := newSender(t, ingest.Config{Transport: e})
		var (
			writers sync.WaitGroup
			stop    atomic.Bool
			tracked atomic.Int64
			started = make(chan struct{}, 4)
		)
		for range 4 {
			writers.Go(func() {
				line := make([]byte, 1)
				for i := 0; !stop.Load(); i++ {
					line[0] = 'm'
					s.Track(line)
					line[0] = '?'
					addUp(t, s.Stats())
					tracked.Add(1)
					if i == 10 {
						started <- struct{}{}
					}
					runtime.Gosched()
				}
			})
		}
		for range 4 {
			<-started
		}
		s.Close(limit)
		after := s.Stats()
		stop.Store(true)
		writers.Wait()
		st := s.Stats()
		if st.Tracked != tracked.Load() || st.Pending != 0 || st.Accepted == 0 || after.Accepted != st.Accepted {
			t.Fatalf("tracked %d, at Close %+v, then %+v", tracked.Load(), after, st)
		}
		if got := strings.Join(e.accepted(), ""); got != strings.Repeat("m", int(st.Accepted)) {
			t.Fatalf("what was written later was sent: %q", got)
		}
	}
}
