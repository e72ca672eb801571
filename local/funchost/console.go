package funchost

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// level is the severity of a line.
type level int

const (
	information level = iota
	warning
	failure
)

// console writes lines as func does: [2026-01-01T10:00:00.000Z] text, in UTC.
type console struct {
	levels levels

	mu    sync.Mutex
	out   io.Writer
	color bool
}

func newConsole(cfg Config, l levels) *console {
	if cfg.Console == nil {
		return &console{levels: l, out: io.Discard}
	}
	return &console{levels: l, out: cfg.Console, color: cfg.Color}
}

// print writes one line. It ignores errors, because they must not stop the host.
func (c *console) print(l level, format string, args ...any) {
	stamp := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	line := "[" + stamp + "] " + fmt.Sprintf(format, args...)
	if c.color && l != information {
		color := map[level]string{warning: "\x1b[33m", failure: "\x1b[31m"}[l]
		line = color + line + "\x1b[0m"
	}
	c.raw(line + "\n")
}

// log writes a line of a category, if host.json's log levels permit it.
func (c *console) log(category string, l level, format string, args ...any) {
	if c.levels.pass(category, l) {
		c.print(l, format, args...)
	}
}

func (c *console) info(format string, args ...any) { c.print(information, format, args...) }
func (c *console) fail(format string, args ...any) { c.print(failure, format, args...) }

// raw writes text without a time.
func (c *console) raw(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.WriteString(c.out, text)
}

// lines is a writer that calls line for every line written to it, without its end.
type lines struct {
	line    func(string)
	pending []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.pending = append(l.pending, p...)
	for {
		i := bytes.IndexByte(l.pending, '\n')
		if i < 0 {
			return len(p), nil
		}
		l.line(strings.TrimSuffix(string(l.pending[:i]), "\r"))
		l.pending = l.pending[i+1:]
	}
}

// flush passes on a last line that has no end.
func (l *lines) flush() {
	if len(l.pending) > 0 {
		l.line(string(l.pending))
		l.pending = nil
	}
}
