// Package recorder records output, for tests that read it while it is written.
package recorder

import (
	"bytes"
	"sync"
)

// Recorder is a writer that records the output. It is safe for use by several goroutines; the zero value is empty.
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

// String returns the output so far.
func (r *Recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}
