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

// unreadableError is a user that could not be read, or a file without users. Reading continues after it.
type unreadableError struct {
	where string
	err   error
}

func (e *unreadableError) Error() string { return e.where + ": " + e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// exported reads the files of export jobs: JSON objects, one a line or in arrays, gzip or not. It ends with the first
// error that is not an *unreadableError.
func exported(files []string, stdin io.Reader) iter.Seq2[user, error] {
	return func(yield func(user, error) bool) {
		for _, name := range files {
			if !readFile(name, stdin, yield) {
				return
			}
		}
	}
}

// readFile yields the users of a file and says whether to continue.
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
	if unfit := (*unfitError)(nil); errors.As(err, &unfit) {
		return yield(user{}, &unreadableError{name, unfit})
	}
	if err != nil {
		yield(user{}, fmt.Errorf("read %s: %w", name, err))
		return false
	}
	found := newValues(text)
	for {
		v, err := found.next()
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			yield(user{}, fmt.Errorf("read %s: %w", name, err))
			return false
		}
		u, err := user{}, v.err
		if err == nil {
			u, err = readUser(v.text)
		}
		if err != nil {
			err = &unreadableError{whereIs(name, v), err}
		}
		if !yield(u, err) {
			return false
		}
	}
}

// whereIs describes the position of a value.
func whereIs(name string, v value) string {
	if v.nth > 1 {
		return fmt.Sprintf("%s, line %d, value %d", name, v.line, v.nth)
	}
	return fmt.Sprintf("%s, line %d", name, v.line)
}

// unfitError describes a file without JSON objects.
type unfitError struct{ is string }

func (e *unfitError) Error() string { return e.is }

// plainText decompresses gzip, once or twice, and checks the beginning of the result.
func plainText(r io.Reader) (io.Reader, error) {
	for range 3 {
		buffered := bufio.NewReader(r)
		head, err := buffered.Peek(512)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if !bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
			return lookAt(buffered, head)
		}
		if r, err = gzip.NewReader(buffered); err != nil {
			return nil, err
		}
	}
	return nil, &unfitError{"is gzip in gzip in gzip: unpack it"}
}

// lookAt says whether a text with this beginning can hold JSON objects. It ignores a byte order mark, which some
// editors add.
func lookAt(r *bufio.Reader, head []byte) (io.Reader, error) {
	mark := []byte("\uFEFF")
	if bytes.HasPrefix(head, mark) {
		if _, err := r.Discard(len(mark)); err != nil {
			return nil, err
		}
		head = head[len(mark):]
	}
	first := bytes.TrimLeft(head, " \t\r\n")
	starts := func(with string) bool { return bytes.HasPrefix(head, []byte(with)) }
	switch {
	case len(first) == 0, first[0] == '{' && !starts("{\x00"), first[0] == '[' && !starts("[\x00"): // or 512 bytes of white space
		return r, nil
	case starts("PK"):
		return nil, &unfitError{"is a zip archive: unpack it"}
	case starts("\xff\xfe"), starts("\xfe\xff"), bytes.IndexByte(head[:min(4, len(head))], 0) >= 0:
		return nil, &unfitError{"is not UTF-8: save it as UTF-8; PowerShell's > writes UTF-16"}
	case first[0] == '<':
		return nil, &unfitError{"is a web page, not an export: an export's link expires after 60 seconds, request the job again"}
	default:
		return nil, &unfitError{`is not JSON: the export job needs "format": "json"; CSV is not supported`}
	}
}
