package journal

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
)

// writer is the goroutine that writes the file.
type writer struct {
	journal *Journal
	file    *os.File
	failed  error      // after a failure nothing is written any more: what of it reached the disk is not known
	next    *newFile   // nil: none is being written
	written chan error // of next; nil if there is none
}

// newFile is a file that shall replace the present one.
type newFile struct {
	file *os.File
	size int64
	tail []byte        // frames that were written to the present one meanwhile
	stop chan struct{} // closed: the end is no longer wanted
}

func (w *writer) run() {
	for more := true; more; {
		select {
		case _, more = <-w.journal.work:
			for b := w.journal.next(); b != nil; b = w.journal.next() {
				b.commit.finish(w.write(b))
			}
		case err := <-w.written:
			w.finish(err)
		}
	}
	if w.next != nil {
		close(w.next.stop)
		w.finish(errors.Join(errStopped, <-w.written))
	}
	w.journal.ended = errors.Join(w.failed, w.file.Close(), w.journal.lock.Close())
	close(w.journal.stopped)
}

func (w *writer) write(b *batch) error {
	if w.failed != nil {
		return w.failed
	}
	if b.state != nil {
		w.begin(b.state)
		return nil
	}
	seal(b.frame)
	if _, err := w.file.Write(b.frame); err != nil {
		w.failed = fmt.Errorf("write the journal: %w", err)
		return w.failed
	}
	if err := w.file.Sync(); err != nil {
		w.failed = fmt.Errorf("sync the journal: %w", err)
		return w.failed
	}
	w.journal.size.Add(int64(len(b.frame)))
	if w.next != nil {
		w.next.tail = append(w.next.tail, b.frame...)
	}
	return nil
}

// begin starts to write a new file.
func (w *writer) begin(state iter.Seq2[[]byte, error]) {
	file, err := os.OpenFile(filepath.Join(w.journal.dir, newFileName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		w.later()
		return
	}
	next := &newFile{file: file, stop: make(chan struct{})}
	w.next, w.written = next, make(chan error, 1)
	go func(written chan<- error) { written <- next.write(state) }(w.written)
}

var errStopped = errors.New("stopped")

// write writes and syncs a state, some records in each frame.
func (n *newFile) write(state iter.Seq2[[]byte, error]) error {
	const frameSize = 1 << 20
	if err := n.append([]byte(magic)); err != nil {
		return err
	}
	frame := newFrame()
	flush := func() error {
		select {
		case <-n.stop:
			return errStopped
		default:
		}
		seal(frame)
		err := n.append(frame)
		frame = frame[:headerSize]
		return err
	}
	for record, err := range state {
		if err != nil {
			return err
		}
		if frame = appendRecord(frame, record); len(frame) < frameSize {
			continue
		}
		if err := flush(); err != nil {
			return err
		}
	}
	if len(frame) > headerSize {
		if err := flush(); err != nil {
			return err
		}
	}
	return n.file.Sync()
}

func (n *newFile) append(data []byte) error {
	_, err := n.file.Write(data)
	n.size += int64(len(data))
	return err
}

// finish puts the new file in the present one's place once it has been written, with err, and has the tail too.
func (w *writer) finish(err error) {
	if err == nil && w.failed == nil {
		if err = w.next.append(w.next.tail); err == nil {
			err = w.next.file.Sync()
		}
	}
	if err != nil || w.failed != nil {
		w.discard()
		return
	}
	next := w.next
	w.next, w.written = nil, nil
	if err := w.replace(next); err != nil {
		w.failed = fmt.Errorf("replace the journal: %w", err)
		return
	}
	w.journal.size.Store(next.size)
	w.later()
}

// replace makes a new file the present one. Both are closed for it, as Windows wants.
func (w *writer) replace(next *newFile) error {
	path := filepath.Join(w.journal.dir, fileName)
	if err := errors.Join(w.file.Close(), next.file.Close()); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(w.journal.dir, newFileName), path); err != nil {
		return err
	}
	if err := syncDir(w.journal.dir); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	w.file = file
	_, err = file.Seek(0, io.SeekEnd)
	return err
}

// discard gives up the new file. What is left of it is in nobody's way.
func (w *writer) discard() {
	_ = w.next.file.Close()
	_ = os.Remove(filepath.Join(w.journal.dir, newFileName))
	w.next, w.written = nil, nil
	w.later()
}

// later lets the file double before the next Compact.
func (w *writer) later() { w.journal.threshold.Store(max(MinCompact, 2*w.journal.size.Load())) }
