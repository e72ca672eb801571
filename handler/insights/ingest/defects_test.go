package ingest_test

import (
	"fmt"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"userrelay/handler/insights/ingest"
)

// The SDK's own channel has ten defects, which crash the program, block it or lose items silently. Each has a test
// that the Sender passes, here or (D10) in silentloss_test.go.

// TestD1TrackMeetsClose: the SDK panics (send on closed channel). Here eight writers run concurrently with Close,
// fifty times.
func TestD1TrackMeetsClose(t *testing.T) {
	e := &endpoint{}
	server := httptest.NewServer(e)
	defer server.Close()
	for round := range 50 {
		s := newSender(t, ingest.Config{Connection: connection(t, server.URL)})
		var writers sync.WaitGroup
		var stop atomic.Bool
		var tracked atomic.Int64
		started := make(chan struct{}, 8)
		for range 8 {
			writers.Go(func() {
				for i := 0; !stop.Load(); i++ {
					trackTrace(s, "m")
					tracked.Add(1)
					if i == 10 {
						started <- struct{}{}
					}
					runtime.Gosched()
				}
			})
		}
		for range 8 {
			<-started
		}
		s.Close(limit)
		after := s.Stats()
		stop.Store(true)
		writers.Wait()
		st := s.Stats()
		addUp(t, after)
		addUp(t, st)
		if st.Tracked != tracked.Load() || st.Pending != 0 || st.Accepted == 0 || after.Accepted != st.Accepted {
			t.Fatalf("round %d: tracked %d, at Close %+v, then %+v", round, tracked.Load(), after, st)
		}
	}
	if len(e.messages(t)) == 0 {
		t.Error("nothing arrived")
	}
}

// TestD2PartialSuccessWithOddIndices: the SDK panics in its own goroutine, which ends the process.
func TestD2PartialSuccessWithOddIndices(t *testing.T) {
	for _, errors := range []string{
		`[{"index":1,"statusCode":500}]`, `[{"index":-1,"statusCode":500}]`, `[{"index":2147483648,"statusCode":500}]`,
		`[null]`, `[{}]`, `[{"index":0,"statusCode":500},{"index":0,"statusCode":400}]`, `null`, `{}`, `"x"`, `[[]]`,
	} {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{script: []step{{status: 206, body: `{"itemsReceived":1,"itemsAccepted":1,"errors":` + errors + `}`}}}
			s := newSender(t, ingest.Config{Transport: e})
			trackTrace(s, "m")
			<-time.After(10 * time.Second)
			st := s.Stats()
			addUp(t, st)
			if st.Pending != 0 || st.Accepted+st.Dropped != 1 {
				t.Errorf("%s: %+v", errors, st)
			}
		})
	}
}

// TestD3CloseWhileThrottled: the SDK's Close never ends.
func TestD3CloseWhileThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tomorrow := time.Now().Add(24 * time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
		s := newSender(t, ingest.Config{Transport: &endpoint{byDefault: step{status: 429, retryAfter: tomorrow}}})
		trackTrace(s, "m")
		<-time.After(10 * time.Second)
		start := time.Now()
		s.Close(time.Second)
		if took := time.Since(start); took > time.Second {
			t.Errorf("Close took %v", took)
		}
		if st := s.Stats(); st.Dropped != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// TestD4CloseTwiceAndByMany: the SDK's second Close blocks forever.
func TestD4CloseTwiceAndByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSender(t, ingest.Config{Transport: &endpoint{byDefault: step{hang: true}}})
		trackTrace(s, "m")
		start := time.Now()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { s.Close(time.Second) })
		}
		all.Wait()
		s.Close(time.Second)
		s.Close(0)
		if took := time.Since(start); took != 900*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if st := s.Stats(); st.Dropped != 1 || st.Pending != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestD5CloseWithADeadEndpoint: the SDK's Close waits for all batches that it retries, 98 s and more.
func TestD5CloseWithADeadEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSender(t, ingest.Config{Transport: &endpoint{byDefault: step{hang: true}}})
		for i := range 5000 {
			trackTrace(s, fmt.Sprint("m", i))
		}
		<-time.After(95 * time.Second)
		start := time.Now()
		s.Close(500 * time.Millisecond)
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("Close took %v", took)
		}
		st := s.Stats()
		addUp(t, st)
		if st.Dropped != st.Tracked || st.Pending != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestD6NoGoroutineStays: the SDK leaks a goroutine for every client.
func TestD6NoGoroutineStays(t *testing.T) {
	before := goleak.IgnoreCurrent()
	e := &endpoint{}
	server := httptest.NewServer(e)
	for range 50 {
		s := newSender(t, ingest.Config{Connection: connection(t, server.URL)})
		trackTrace(s, "m")
		s.Close(limit)
	}
	server.Close()
	goleak.VerifyNone(t, before)
	if got := len(e.messages(t)); got != 50 {
		t.Errorf("%d arrived", got)
	}
}

// TestD7AnEndpointThatHangs: the SDK has no time limit, a goroutine for each batch, and memory without bound.
func TestD7AnEndpointThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{byDefault: step{hang: true}}
		s := newSender(t, ingest.Config{Transport: e})
		trackTrace(s, "m")
		<-time.After(2 * time.Second)
		before := runtime.NumGoroutine()
		for i := range 120 {
			trackTrace(s, fmt.Sprint("m", i))
			<-time.After(time.Second)
		}
		if n := runtime.NumGoroutine(); n > before+1 {
			t.Errorf("%d goroutines, %d before", n, before)
		}
		if posts := len(e.requests()); posts < 3 || posts > 12 { // 10 s each, and a pause that grows
			t.Errorf("%d requests in two minutes", posts)
		}
		e.then(step{})
		<-time.After(2 * time.Minute)
		if st := s.Stats(); st.Accepted != st.Tracked {
			t.Errorf("%+v", st)
		}
	})
}

// TestD8LinesMayBeChangedAfterTrack: the SDK encodes an item later, while the caller may still change it. The race
// detector reports that.
func TestD8LinesMayBeChangedAfterTrack(t *testing.T) {
	e := &endpoint{}
	s, _ := serve(t, e, ingest.Config{})
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			var line []byte
			for range 200 {
				line = append(line[:0], encoder().Message("m")...)
				s.Track(line)
				for i := range line {
					line[i] = '?'
				}
			}
		})
	}
	writers.Wait()
	s.Close(limit)
	if st := s.Stats(); st.Accepted != 4*200 {
		t.Errorf("%+v", st)
	}
	for _, m := range e.messages(t) {
		if m != "m" {
			t.Fatalf("what was written later was sent: %q", m)
		}
	}
}

// TestD9LookingAtAClosedSender: the SDK panics when it is asked whether it is throttled.
func TestD9LookingAtAClosedSender(t *testing.T) {
	s := newSender(t, ingest.Config{Transport: &endpoint{}})
	s.Close(limit)
	var lookers sync.WaitGroup
	for range 8 {
		lookers.Go(func() {
			for range 100 {
				trackTrace(s, "late")
				addUp(t, s.Stats())
				s.Close(0)
			}
		})
	}
	lookers.Wait()
	if st := s.Stats(); st.Dropped != 800 || st.Tracked != 800 {
		t.Errorf("%+v", st)
	}
}
