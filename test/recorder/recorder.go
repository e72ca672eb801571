// Package recorder keeps what is written while it is being written, for tests that read along.
package recorder

import (
	"bytes"
	"sync"
)

// Recorder is a writer that remembers. It is safe for use by several goroutines; the zero value is empty.
type Recorder struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write keeps p. It never fails.
func (r *Recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

// String returns all that has been written.
func (r *Recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}
