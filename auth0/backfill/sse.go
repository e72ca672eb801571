package main

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
	"time"
)

// message is one of a stream of server-sent events (WHATWG HTML, "Server-sent events").
type message struct {
	event, id string
	data      []byte
	retry     time.Duration // 0: not in the message
}

// messages reads a stream of server-sent events.
type messages struct{ lines *bufio.Scanner }

func newMessages(r io.Reader) *messages {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestValue)
	lines.Split(splitLines)
	return &messages{lines}
}

// next returns the next message, which may have only comments: they show that the connection works. The error is
// io.EOF at the end of the stream; it drops an incomplete message.
func (m *messages) next() (message, error) {
	var (
		found message
		begun bool
	)
	for m.lines.Scan() {
		line := bytes.TrimPrefix(m.lines.Bytes(), []byte("\uFEFF"))
		if len(line) == 0 {
			if begun {
				found.data = bytes.TrimSuffix(found.data, []byte("\n"))
				return found, nil
			}
			continue
		}
		begun = true
		name, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			found.event = value
		case "id":
			if !strings.Contains(value, "\x00") {
				found.id = value
			}
		case "data":
			found.data = append(append(found.data, value...), '\n')
		case "retry":
			if ms, err := strconv.ParseUint(value, 10, 31); err == nil {
				found.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
	if err := m.lines.Err(); err != nil {
		return message{}, err
	}
	return message{}, io.EOF
}

// splitLines splits at a line feed, a carriage return, or both.
func splitLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0 && atEOF && len(data) > 0:
		return len(data), data, nil
	case i < 0:
		return 0, nil, nil
	case data[i] == '\n':
		return i + 1, data[:i], nil
	case i+1 < len(data):
		if data[i+1] == '\n' {
			return i + 2, data[:i], nil
		}
		return i + 1, data[:i], nil
	case atEOF:
		return i + 1, data[:i], nil
	}
	return 0, nil, nil // a line feed may follow
}
