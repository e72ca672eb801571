// Package journal keeps records in a file of a folder, in their order, so that each is there again after the process has
// ended, however it ended, once its commit says so.
//
// Records that come while others are being written wait and then share one write and one fsync. When the file has
// doubled it is replaced by one that holds the state that the records lead to, which the caller provides; records are
// written meanwhile.
package journal

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

const (
	fileName    = "journal"
	newFileName = "journal.new" // while a smaller file is being written
	lockName    = "lock"
)

// MinCompact is the size in bytes up to which a file is left as it is.
const MinCompact = 8 << 20

var errClosed = errors.New("the journal is closed")

// Journal is an open journal. Its methods may be called at the same time.
type Journal struct {
	dir  string
	lock *os.File

	mu     sync.Mutex
	queue  []*batch // what is to be written, in this order
	latest *Commit  // of the newest batch
	closed bool

	work    chan struct{} // holds one: there may be something in the queue
	stopped chan struct{} // closed when the writer has ended
	ended   error         // how it ended
	closing func() error

	size      atomic.Int64 // of the file
	threshold atomic.Int64 // of size, from which on the journal has grown
}

// batch is what is written, and synced, at once.
type batch struct {
	frame  []byte
	commit *Commit
	// state is set in a batch without records: from here on a new file is written, which begins with it.
	state iter.Seq2[[]byte, error]
}

// Commit is the fate of a record.
type Commit struct {
	done chan struct{}
	err  error
}

// Wait returns when the record, and all before it, are on disk, or cannot be written. A nil Commit is always done.
func (c *Commit) Wait() error {
	if c == nil {
		return nil
	}
	<-c.done
	return c.err
}

func (c *Commit) finish(err error) {
	c.err = err
	close(c.done)
}

// Open opens the journal in a folder, which is made if need be, and hands all its records to replay. An end that was not
// written completely is cut off: nobody was told that it is there. Anything else that is wrong is an error, as is a folder
// that another process has open. Close must be called.
func Open(dir string, replay func(record []byte) error) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("lock the folder, which another process may use: %w", err)
	}
	j := &Journal{dir: dir, lock: lock, work: make(chan struct{}, 1), stopped: make(chan struct{})}
	j.closing = sync.OnceValue(j.close)
	file, size, err := load(filepath.Join(dir, fileName), replay)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := j.prepare(); err != nil {
		return nil, errors.Join(err, file.Close(), lock.Close())
	}
	j.size.Store(size)
	j.threshold.Store(MinCompact)
	go (&writer{journal: j, file: file}).run()
	return j, nil
}

// prepare removes what a process that was killed has left, and makes sure that the file's name is on disk.
func (j *Journal) prepare() error {
	if err := os.Remove(filepath.Join(j.dir, newFileName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove an unfinished file: %w", err)
	}
	return syncDir(j.dir)
}

// Append adds a record. It returns at once; Latest, called next, says when the record is on disk.
func (j *Journal) Append(record []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var b *batch
	if last := len(j.queue) - 1; last >= 0 && j.queue[last].state == nil {
		b = j.queue[last]
	} else {
		b = &batch{frame: newFrame()}
		j.push(b)
	}
	b.frame = appendRecord(b.frame, record)
}

// push appends a batch to the queue, and wakes the writer. The caller holds mu.
func (j *Journal) push(b *batch) {
	b.commit = &Commit{done: make(chan struct{})}
	j.latest = b.commit
	if j.closed {
		b.commit.finish(errClosed)
		return
	}
	j.queue = append(j.queue, b)
	select {
	case j.work <- struct{}{}:
	default:
	}
}

// Latest returns the commit of the newest record.
func (j *Journal) Latest() *Commit {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.latest
}

// Grown says whether it is time to call Compact. It never is while that is under way.
func (j *Journal) Grown() bool { return j.size.Load() > j.threshold.Load() }

// Compact begins to replace the file. state holds records, or why there are none, that lead to the same state as all
// records until now; it is read later, while other methods are called. A failure to write the new file is no failure of
// the journal: the old one stays in use.
func (j *Journal) Compact(state iter.Seq2[[]byte, error]) {
	j.threshold.Store(1<<63 - 1)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.push(&batch{state: state})
}

// Close writes what is left and ends the journal. It returns why something could not be written, now or earlier.
func (j *Journal) Close() error { return j.closing() }

func (j *Journal) close() error {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	close(j.work)
	<-j.stopped
	return j.ended
}

// next returns what is to be written next; nil if there is nothing.
func (j *Journal) next() *batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.queue) == 0 {
		return nil
	}
	b := j.queue[0]
	j.queue[0] = nil
	j.queue = j.queue[1:]
	return b
}
