package insights

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip" // a third of the time of compress/gzip; the Kafka client brings it along
)

// Limits of what waits for Application Insights. Packed, an item of a registration takes 60 to 70 bytes, so 4 MiB are
// some 60,000 items: half a minute of outage at 2,000 items/s, five minutes at 200. The queue before it is for bursts.
// With the collector's usual allowance of as much again, both together grow the process by less than 20 MiB.
const (
	maxQueue      = 8 << 10 // items that wait to be packed
	maxQueueBytes = 4 << 20 // of them, in memory
	maxBacklog    = 4 << 20 // bytes of packed items
	maxBatchItems = 1000    // in one request
	maxBatchBytes = 1 << 20 // in one request, unpacked
)

// batch is the body of one request.
type batch struct {
	body  []byte // lines of JSON, packed with gzip
	items int

	halved   bool  // it is half of a batch that was too large
	strikes  int   // how often it failed while others were accepted
	accepted int64 // batches that had been accepted when it failed last
}

// backlog packs items into batches and keeps those until they are settled. The newest batch is open for more items until
// it is full or its turn comes, so that a long outage makes few large batches of many small ones.
type backlog struct {
	ready chan struct{} // holds a value when next may return something new

	mu     sync.Mutex
	zip    *gzip.Writer
	packed bytes.Buffer // the open batch as far as it is packed
	open   batch        // its body comes when it is sealed
	raw    int          // bytes in the open batch, unpacked
	sealed []batch      // oldest first
	bytes  int          // of sealed batches, and of the one that next returned last
	ended  bool
}

func newBacklog() *backlog {
	b := &backlog{ready: make(chan struct{}, 1)}
	b.zip, _ = gzip.NewWriterLevel(&b.packed, gzip.BestSpeed) // the level is a valid one
	return b
}

// room says whether another chunk of items may be added.
func (b *backlog) room() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes+b.packed.Len() < maxBacklog
}

// add packs lines of JSON, which are n items.
func (b *backlog) add(lines []byte, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.items+n > maxBatchItems || b.raw+len(lines) > maxBatchBytes {
		b.seal()
	}
	_, _ = b.zip.Write(lines) // into memory
	b.open.items += n
	b.raw += len(lines)
}

// seal makes the open batch one that can be sent.
func (b *backlog) seal() {
	if b.open.items == 0 {
		return
	}
	_ = b.zip.Close() // into memory
	b.open.body = bytes.Clone(b.packed.Bytes())
	b.sealed = append(b.sealed, b.open)
	b.bytes += len(b.open.body)
	b.open, b.raw = batch{}, 0
	b.packed.Reset()
	b.zip.Reset(&b.packed)
}

// signal tells who waits for ready.
func (b *backlog) signal() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// end says that nothing will be added.
func (b *backlog) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.signal()
}

// next takes the oldest batch out, the open one where there is no other. more is false when there will never be another.
func (b *backlog) next() (_ batch, ok, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sealed) == 0 {
		b.seal()
	}
	if len(b.sealed) == 0 {
		return batch{}, false, !b.ended
	}
	first := b.sealed[0]
	b.sealed[0] = batch{}
	b.sealed = b.sealed[1:]
	return first, true, true
}

// settle gives up the room of a batch that next returned. What is left of it goes to the end, also behind the open
// batch: one that is refused time and again must not keep the others waiting.
func (b *backlog) settle(taken batch, left ...batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes -= len(taken.body)
	if len(left) > 0 {
		b.seal()
	}
	for _, l := range left {
		b.sealed = append(b.sealed, l)
		b.bytes += len(l.body)
	}
}

// pick returns a batch of the items with these indices, which are ascending and within the batch.
func (b batch) pick(indices []int) batch {
	var packed bytes.Buffer
	zip, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // the level is a valid one
	b.items = len(indices)
	i := 0
	for line := range bytes.Lines(b.unpacked()) {
		if len(indices) > 0 && indices[0] == i {
			indices = indices[1:]
			_, _ = zip.Write(line) // into memory
		}
		i++
	}
	_ = zip.Close() // into memory
	b.body = packed.Bytes()
	return b
}

// halves returns the batch as two.
func (b batch) halves() (first, second batch) {
	b.halved = true
	all := make([]int, b.items)
	for i := range all {
		all[i] = i
	}
	return b.pick(all[:b.items/2]), b.pick(all[b.items/2:])
}

// unpacked returns the batch's items, a line each. The batch was packed here, so that there is nothing to fail.
func (b batch) unpacked() []byte {
	zip, err := gzip.NewReader(bytes.NewReader(b.body))
	if err != nil {
		return nil
	}
	text, _ := io.ReadAll(zip)
	return text
}
