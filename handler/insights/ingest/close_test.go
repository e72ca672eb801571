package ingest_test

import (
	"context"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/test/wait"
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
			bubble(t, &endpoint{byDefault: c.byDefault}, func(x rig) {
				x.track("m0")
				x.track("m1")
				<-time.After(c.wait)
				start := time.Now()
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() { x.Close(c.limit) })
				}
				all.Wait()
				if took := time.Since(start); took != c.want {
					x.Errorf("Close took %v, want %v", took, c.want)
				}
				synctest.Wait()
				x.track("late")
				x.Close(c.limit)
				x.Close(0)
				if st := x.counted(); st.Accepted < c.accepted || st.Pending != 0 || st.Dropped == 0 || time.Since(start) != c.want {
					x.Errorf("%+v after %v", st, time.Since(start))
				}
			})
		})
	}
}

// TestCloseOfAFullQueue has more items than the sender holds, and an endpoint that recovers just in time, or does not.
func TestCloseOfAFullQueue(t *testing.T) {
	for recovers, want := range map[bool]string{true: "lost=1 reason=full", false: "reason=closed"} {
		bubble(t, &endpoint{byDefault: step{status: 503}}, func(x rig) {
			for x.Stats().Dropped == 0 {
				x.track(strings.Repeat("x", 60_000))
				synctest.Wait()
			}
			if recovers {
				x.then(step{})
			}
			start := time.Now()
			x.Close(time.Second)
			st := x.Stats()
			kept := st.Tracked - 1
			if !recovers {
				kept = 0
			}
			if st.Accepted != kept || st.Dropped != st.Tracked-kept || st.Pending != 0 || st.Tracked < 280 || time.Since(start) != 0 {
				x.Errorf("recovers %t: %+v", recovers, st)
			}
			if text := x.console.String(); !strings.Contains(text, want) {
				x.Errorf("recovers %t: the loss at the end is not told: %s", recovers, text)
			}
		})
	}
}

// TestCloseDoesNotWaitForWhatDoesNotHeedIt has a source of tokens that ignores its context.
func TestCloseDoesNotWaitForWhatDoesNotHeedIt(t *testing.T) {
	var until chan struct{}
	token := func(context.Context) (string, error) {
		<-until
		return "", io.EOF
	}
	bubble(t, &endpoint{token: token}, func(x rig) {
		until = make(chan struct{})
		x.track("m")
		<-time.After(2 * time.Second)
		start := time.Now()
		x.Close(time.Second)
		if took := time.Since(start); took != time.Second {
			x.Errorf("Close took %v", took)
		}
		x.counted()
		close(until)
		x.Close(time.Second)
		if st := x.Stats(); st.Dropped != 1 || st.Pending != 0 {
			x.Errorf("%+v", st)
		}
	})
}

// TestTrackMeetsClose has writers that reuse their lines, run concurrently with Close, and go on after it. The race
// detector reports a line that is read after Track.
func TestTrackMeetsClose(t *testing.T) {
	for range 20 {
		x := start(t, &endpoint{})
		var (
			started, writers sync.WaitGroup
			stop             atomic.Bool
			tracked          atomic.Int64
		)
		started.Add(4)
		for range 4 {
			writers.Go(func() {
				line := make([]byte, 1)
				for i := 0; !stop.Load(); i++ {
					line[0] = 'm'
					x.Track(line)
					line[0] = '?'
					x.counted()
					tracked.Add(1)
					if i == 10 {
						started.Done()
					}
					runtime.Gosched()
				}
			})
		}
		started.Wait()
		x.Close(wait.Patience)
		after := x.Stats()
		stop.Store(true)
		writers.Wait()
		st := x.Stats()
		if st.Tracked != tracked.Load() || st.Pending != 0 || st.Accepted == 0 || after.Accepted != st.Accepted {
			t.Fatalf("tracked %d, at Close %+v, then %+v", tracked.Load(), after, st)
		}
		if got := strings.Join(x.accepted(), ""); got != strings.Repeat("m", int(st.Accepted)) {
			t.Fatalf("what was written later was sent: %q", got)
		}
	}
}
