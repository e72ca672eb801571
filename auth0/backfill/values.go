package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// longestValue is larger than any profile: Auth0 stops indexing a profile at 1 MB.
const longestValue = 16 << 20

// values splits a text into JSON objects: one a line, pretty-printed, in arrays or next to each other. It only parses
// strings and brackets. Text that cannot be a part of an object ends with its line, so that later objects are found.
type values struct {
	in   *bufio.Reader
	line int // of the byte that is read next
	nth  int // values that have begun on it

	text  []byte
	open  []byte // brackets that are open in text
	prev  byte   // last byte of text that is no white space
	again int    // a byte that is to be read again, plus 1; 0 is none
}

// value is text in the place of an object. err says why it is not an object.
type value struct {
	line, nth int // nth value that begins on the line
	text      []byte
	err       error
}

var errTooLong = fmt.Errorf("is longer than %d MiB", longestValue>>20)

func newValues(in io.Reader) *values { return &values{in: bufio.NewReaderSize(in, 64<<10), line: 1} }

// next returns the next value, or io.EOF.
func (v *values) next() (value, error) {
	for {
		b, err := v.read()
		switch {
		case err != nil:
			return value{}, err
		case strings.IndexByte(" \t\r\n,[]", b) >= 0: // between objects, and around them
		case b == '{':
			v.nth++
			return v.object()
		default:
			v.nth++
			here := value{line: v.line, nth: v.nth, err: errNoJSON}
			return here, v.skip("{\n") // an object may follow on the line
		}
	}
}

// object reads an object whose brace was read.
func (v *values) object() (value, error) {
	here := value{line: v.line, nth: v.nth}
	broken := func(err error) (value, error) {
		here.err = err
		return here, v.skip("\n")
	}
	v.text, v.open, v.prev = append(v.text[:0], '{'), append(v.open[:0], '{'), '{'
	for len(v.open) > 0 {
		b, err := v.read()
		switch {
		case errors.Is(err, io.EOF):
			here.err = errNoJSON
			return here, nil // the next call finds the end
		case err != nil:
			return value{}, err
		case len(v.text) == longestValue:
			return broken(errTooLong)
		case b == '{' && !v.mayOpen():
			v.unread(b) // the text before it was cut off, and this is the next
			here.err = errNoJSON
			return here, nil
		}
		v.text = append(v.text, b)
		if b == '"' {
			if err := v.str(); errors.Is(err, errNoJSON) || errors.Is(err, errTooLong) {
				return broken(err)
			} else if err != nil && !errors.Is(err, io.EOF) {
				return value{}, err
			}
		}
		if !v.bracket(b) {
			return broken(errNoJSON)
		}
		if b > ' ' {
			v.prev = b
		}
	}
	here.text = bytes.Clone(v.text)
	return here, nil
}

// mayOpen says whether an object may begin here.
func (v *values) mayOpen() bool {
	if v.open[len(v.open)-1] == '{' {
		return v.prev == ':'
	}
	return v.prev == '[' || v.prev == ','
}

// bracket tracks open brackets, and says whether this one is valid here.
func (v *values) bracket(b byte) bool {
	switch b {
	case '{', '[':
		v.open = append(v.open, b)
	case '}', ']':
		if v.open[len(v.open)-1] != b-2 { // the two stand two apart in ASCII
			return false
		}
		v.open = v.open[:len(v.open)-1]
	}
	return true
}

// str reads a string whose quote was read. It has no line feed: that would be an escape.
func (v *values) str() error {
	for escaped := false; ; {
		b, err := v.read()
		switch {
		case err != nil:
			return err
		case len(v.text) == longestValue:
			return errTooLong
		case b == '\n':
			v.unread(b) // the line ends here
			return errNoJSON
		}
		v.text = append(v.text, b)
		if b == '"' && !escaped {
			return nil
		}
		escaped = b == '\\' && !escaped
	}
}

// skip reads up to the first of these bytes, which it does not consume.
func (v *values) skip(to string) error {
	for {
		b, err := v.read()
		if errors.Is(err, io.EOF) {
			return nil // the next call finds it
		}
		if err != nil {
			return err
		}
		if strings.IndexByte(to, b) >= 0 {
			v.unread(b)
			return nil
		}
	}
}

// read reads a byte and counts lines.
func (v *values) read() (byte, error) {
	b, err := byte(v.again-1), error(nil)
	if v.again == 0 {
		b, err = v.in.ReadByte()
	}
	v.again = 0
	if b == '\n' && err == nil {
		v.line, v.nth = v.line+1, 0
	}
	return b, err
}

func (v *values) unread(b byte) {
	v.again = int(b) + 1
	if b == '\n' {
		v.line--
	}
}
