package insights

import (
	"context"
	"time"
)

// packing moves items from the queue to the backlog, and reports, until the sender is closed.
func (s *Sender) packing(ctx context.Context) {
	report := time.NewTicker(reportEvery)
	defer report.Stop()
	var due <-chan time.Time // since the first of the items that wait; nil when none do
	for {
		select {
		case <-s.wake:
			if n := s.waits(); n < packAt {
				if n > 0 && due == nil {
					due = time.After(batchAge)
				}
				continue
			}
		case <-due:
		case <-report.C:
			s.report(ctx, time.Now())
			continue
		case <-s.stopping:
			s.packRest(ctx)
			return
		}
		due = nil
		s.pack()
	}
}

// packRest packs all that waits, as long as there is hope for room.
func (s *Sender) packRest(ctx context.Context) {
	for s.pack(); s.waits() > 0; s.pack() {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
	s.backlog.end()
}

// waits is the number of items that wait to be packed.
func (s *Sender) waits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

func (s *Sender) report(ctx context.Context, now time.Time) {
	st := s.Stats()
	s.reporter.warn(ctx, st)
	if item := s.reporter.item(st, now); item != nil {
		s.Track(item)
	}
}

// pack packs what waits, as far as there is room.
func (s *Sender) pack() {
	for s.backlog.room() {
		chunk := s.take()
		if len(chunk) == 0 {
			break
		}
		s.packChunk(chunk)
		clear(chunk)
	}
	s.backlog.signal()
}

// take returns the items that are to be packed next. They are pending, but wait no more.
func (s *Sender) take() []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.hand) == 0 {
		s.hand, s.queue, s.spare = s.queue, s.spare[:0], s.queue
	}
	chunk := s.hand[:min(len(s.hand), chunkItems)]
	s.hand = s.hand[len(chunk):]
	for _, e := range chunk {
		s.bytes -= e.size
	}
	s.waiting -= len(chunk)
	s.packed += len(chunk)
	return chunk
}

// packChunk hands lines to the backlog, of about chunkBytes each time.
func (s *Sender) packChunk(chunk []entry) {
	lines, items := s.scratch[:0], 0
	for _, e := range chunk {
		var ok bool
		if lines, ok = s.line(lines, e); !ok {
			continue
		}
		items++
		if len(lines) >= chunkBytes {
			s.backlog.add(lines, items)
			lines, items = lines[:0], 0
		}
	}
	s.backlog.add(lines, items)
	s.scratch = lines[:0]
}

// line appends the item as a line of JSON. It is false where that cannot be done; the item is settled then.
func (s *Sender) line(dst []byte, e entry) ([]byte, bool) {
	if e.record == nil {
		return append(dst, e.line...), true
	}
	dst, ok := s.quick.append(dst, e.record)
	if ok {
		return dst, true
	}
	dst, n, err := s.envelopes.line(dst, e.record)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Cut += n.cut
	if err != nil {
		s.stats.Dropped.Invalid++
		s.packed--
	}
	return dst, err == nil
}
