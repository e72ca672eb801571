package portal

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// changes has a counter for each kind of change. A reader with other numbers has missed a change and requests the
// data, so nothing need be kept for slow or absent readers.
type changes struct {
	Items   int64 `json:"items"`
	Records int64 `json:"records"`
	State   int64 `json:"state"` // of the broker and the function
	Outbox  int64 `json:"outbox"`
}

// feed notifies any number of readers of changes.
type feed struct {
	mu   sync.Mutex
	now  changes
	next chan struct{} // closed at the next change; nil: no reader waits
}

func (f *feed) itemsChanged()   { f.change(func(c *changes) { c.Items++ }) }
func (f *feed) recordsChanged() { f.change(func(c *changes) { c.Records++ }) }
func (f *feed) stateChanged()   { f.change(func(c *changes) { c.State++ }) }
func (f *feed) outboxChanged()  { f.change(func(c *changes) { c.Outbox++ }) }

func (f *feed) change(what func(*changes)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what(&f.now)
	if f.next != nil {
		close(f.next)
		f.next = nil
	}
}

// seen returns the current counters, and a channel that is closed at the next change.
func (f *feed) seen() (changes, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		f.next = make(chan struct{})
	}
	return f.now, f.next
}

const (
	streamPause = 100 * time.Millisecond // changes within this time make one event
	streamIdle  = 15 * time.Second       // the event is repeated, to detect disconnected clients
	streamLimit = 5 * time.Second        // a client that does not accept an event in this time is disconnected
)

// events streams the counts of changes until the client leaves, is too slow, or the portal closes.
func (p *Portal) events(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	for {
		now, changed := p.feed.seen()
		if err := sendEvent(w, out, now); err != nil {
			return
		}
		if !p.pause(ctx, streamPause, nil) || !p.pause(ctx, streamIdle, changed) {
			return
		}
	}
}

func sendEvent(w http.ResponseWriter, out *http.ResponseController, c changes) error {
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if err := out.SetWriteDeadline(time.Now().Add(streamLimit)); err != nil {
		return fmt.Errorf("limit the time of an event: %w", err)
	}
	if _, err := fmt.Fprintf(w, "data: %s\n\n", text); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return nil
}

// pause waits for the time or the channel. It returns false if the stream must end.
func (p *Portal) pause(ctx context.Context, d time.Duration, until <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-until:
		return true
	case <-ctx.Done():
		return false
	case <-p.closed:
		return false
	}
}
