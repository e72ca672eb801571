package ingest_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/insights"
	"userrelay/handler/insights/ingest"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

func heap() int64 {
	runtime.GC()
	runtime.GC() // the first leaves what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestOutageInMemory has an outage at 2,000 items/s. Memory must stay limited, every item must be counted, and the
// items that were kept must arrive.
func TestOutageInMemory(t *testing.T) {
	const growth = 20 << 20
	for _, c := range []struct {
		name      string
		down      step
		seconds   int
		perSecond int
	}{
		{"refuses for five minutes", step{status: 503}, 300, 500},
		{"hangs for a minute", step{hang: true}, 60, 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &forgetful{}
				e.down.Store(&c.down)
				s := newSender(t, ingest.Config{Transport: e})
				telemetry := insights.New(insights.Config{Sink: s, Encoder: encoder(), Log: slog.New(slog.DiscardHandler), Broker: "b-1", Topic: "user-events"})
				before, most := heap(), int64(0)
				for i := range c.seconds * c.perSecond / 3 {
					tellRequest(telemetry, i)
					if i%100 == 0 {
						<-time.After(300 * time.Second / time.Duration(c.perSecond))
					}
					if i%20_000 == 0 {
						most = max(most, heap()-before)
					}
				}
				most = max(most, heap()-before)
				if most > growth {
					t.Errorf("the heap grew by %d KiB", most>>10)
				}
				st := s.Stats()
				addUp(t, st)
				if st.Dropped == 0 || st.Reason != "full" || st.Pending < 16_000 {
					t.Fatalf("%+v", st)
				}
				t.Logf("kept %d of %d items; the heap grew by %d KiB at most", st.Pending, st.Tracked, most>>10)

				e.down.Store(nil)
				<-time.After(3 * time.Minute)
				after := s.Stats()
				if after.Dropped > st.Dropped+1 || after.Pending != 0 || after.Accepted != e.items.Load() { // telemetry-stats itself
					t.Errorf("%d arrived: %+v", e.items.Load(), after)
				}
			})
		})
	}
}

// TestLargeItemsInMemory has items so large that a queue limited by their number would take hundreds of megabytes.
func TestLargeItemsInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &forgetful{}
		e.down.Store(&step{status: 503})
		s := newSender(t, ingest.Config{Transport: e})
		before := heap()
		noise := make([]byte, 15_000)
		for i := range 3000 {
			_, _ = rand.Read(noise) // never fails
			trackTrace(s, hex.EncodeToString(noise))
			if i%100 == 0 {
				<-time.After(2 * time.Second)
			}
		}
		grown, st := heap()-before, s.Stats()
		addUp(t, st)
		if grown > 20<<20 || st.Dropped < 2000 || st.Pending < 300 {
			t.Errorf("the heap grew by %d KiB; %+v", grown>>10, st)
		}
		e.down.Store(nil)
		<-time.After(3 * time.Minute)
		if after := s.Stats(); after.Pending != 0 || after.Accepted != after.Tracked-st.Dropped {
			t.Errorf("%+v", after)
		}
	})
}

// forgetful is a transport for an endpoint that discards everything.
type forgetful struct {
	down  atomic.Pointer[step] // nil: it accepts
	items atomic.Int64
}

func (f *forgetful) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if down := f.down.Load(); down != nil {
		down.reply(w, r, 0)
	} else {
		p, err := read(r)
		if err != nil {
			return nil, err
		}
		f.items.Add(int64(len(p.lines)))
		step{}.reply(w, r, len(p.lines))
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// tellRequest reports one request: two traces and a dependency.
func tellRequest(t *insights.Telemetry, i int) {
	op := trace.Start("", "").Child()
	op.InvocationID, op.Name = fmt.Sprintf("3f2504e0-4f89-11d3-9a0c-%012d", i), "RegisterUser"
	ctx := trace.NewContext(context.Background(), op)
	e := registration.Event{ID: fmt.Sprintf("a0pur_%032d", i), UserID: fmt.Sprintf("auth0|%024d", i)}
	md := delivery.RecordMetadata{Topic: "user-events", Partition: i % 6, Offset: int64(i)}
	t.Received(ctx, e)
	t.Sent(ctx, delivery.SendAttempt{Event: e, Span: op.Child(), Start: time.Now(), Duration: time.Millisecond, Metadata: md})
	t.Forwarded(ctx, e, md)
}
