package main

import (
	"bytes"
	"io"
	"sync"
)

// quiet holds back a console's lines while the host starts and while it ends. If all is well it omits routine lines.
type quiet struct {
	out io.Writer

	mu   sync.Mutex
	held [][]byte
	hold bool
}

// Write implements [io.Writer]. It gets whole lines.
func (q *quiet) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.hold {
		q.held = append(q.held, bytes.Clone(p))
		return len(p), nil
	}
	return q.out.Write(p) //nolint:wrapcheck // a writer passes on what the one below says
}

// start holds lines back from now on.
func (q *quiet) start() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hold = true
}

// release prints the held lines and all further ones. If all was well it omits routine lines.
func (q *quiet) release(well bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hold = false
	for _, line := range q.held {
		if !well || !bytes.Contains(line, []byte("level=INFO")) && !bytes.Contains(line, []byte("Worker process started and initialized.")) {
			_, _ = q.out.Write(line)
		}
	}
	q.held = nil
}
