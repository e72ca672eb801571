package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// longestLine is more than a profile can have: Auth0 stops indexing one at 1 MB.
const longestLine = 16 << 20

// unreadableError is one user who could not be read. Those after it can.
type unreadableError struct {
	where string
	err   error
}

func (e *unreadableError) Error() string { return e.where + ": " + e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// exported reads the files of export jobs: one user a line, gzip or not. An error that is no *unreadableError is the last.
func exported(files []string, stdin io.Reader) iter.Seq2[user, error] {
	return func(yield func(user, error) bool) {
		for _, name := range files {
			if !readFile(name, stdin, yield) {
				return
			}
		}
	}
}

// readFile yields the users of one file and says whether to go on.
func readFile(name string, stdin io.Reader, yield func(user, error) bool) bool {
	file := io.NopCloser(stdin)
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			yield(user{}, fmt.Errorf("read an export: %w", err))
			return false
		}
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := plainText(file)
	if err != nil {
		yield(user{}, fmt.Errorf("read %s: %w", name, err))
		return false
	}
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, longestLine)
	for number := 1; lines.Scan(); number++ {
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\uFEFF"))) // some editors put that in front
		if len(line) == 0 {
			continue
		}
		u, err := readUser(bytes.Clone(line))
		if err != nil {
			err = &unreadableError{fmt.Sprintf("%s, line %d", name, number), err}
		}
		if !yield(u, err) {
			return false
		}
	}
	if err := lines.Err(); err != nil {
		yield(user{}, fmt.Errorf("read %s: %w", name, err))
		return false
	}
	return true
}

// plainText unpacks what is gzip.
func plainText(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	magic, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return buffered, nil
	}
	return gzip.NewReader(buffered)
}
