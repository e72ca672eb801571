package registration

import (
	"errors"
	"io"
	"unicode/utf8"
)

// scanner reads a stream of JSON (RFC 8259, in UTF-8) of any length with a small buffer. It accepts duplicate names
// and escaped lone surrogates, as Auth0 does.
//
// It can keep the canonical form of what it reads: see kept.
type scanner struct {
	src    io.Reader
	room   []byte // holds the buffered part
	window []byte // what came
	at     int    // how much of the buffer is read
	end    error  // of src: io.EOF, or why reading failed
	kept   *kept  // nil: nothing is kept
	depth  int    // of objects and arrays that are open
	nested []bool // for skip: which of the open values are objects
	lone   bool   // the last string had a lone surrogate
	escape [utf8.UTFMax]byte
	member [maxName]byte
}

const (
	minWindow = 64       // bytes; some escapes must fit into it
	maxWindow = 8 << 10  // bytes
	maxDepth  = 10_000   // the limit of the library that reads messages and records again
	maxName   = 16       // bytes; no known name is longer
	byteOrder = "\ufeff" // a mark that some editors put before a text
)

const notJSON = "must be JSON"

func errNotJSON() error { return &InvalidError{"body", notJSON} }

func errNotUTF8() error { return &InvalidError{"body", "must be UTF-8"} }

// fill reads more. It says whether it got any.
func (s *scanner) fill() bool {
	if s.end != nil {
		return false
	}
	rest := copy(s.room, s.window[s.at:])
	s.at = 0
	for range 100 {
		n, err := s.src.Read(s.room[rest:])
		s.window, s.end = s.room[:rest+n], err
		if n > 0 || err != nil {
			return n > 0
		}
	}
	s.end = io.ErrNoProgress
	return false
}

// ahead returns the next n bytes, or fewer at the end.
func (s *scanner) ahead(n int) []byte {
	for more := true; more && len(s.window)-s.at < n; {
		more = s.fill()
	}
	return s.window[s.at:min(s.at+n, len(s.window))]
}

// peek returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	if s.at == len(s.window) && !s.fill() {
		return 0
	}
	return s.window[s.at]
}

// next returns the first byte after white space, or 0 at the end, without consuming it.
func (s *scanner) next() byte {
	for {
		for ; s.at < len(s.window); s.at++ {
			switch c := s.window[s.at]; c {
			case ' ', '\t', '\n', '\r':
			default:
				return c
			}
		}
		if !s.fill() {
			return 0
		}
	}
}

// unexpected returns the error for the byte at the scanner's position.
func (s *scanner) unexpected() error {
	b := s.ahead(utf8.UTFMax)
	if !utf8.FullRune(b) && !errors.Is(s.end, io.EOF) {
		return s.end
	}
	if r, n := utf8.DecodeRune(b); r == utf8.RuneError && n == 1 {
		return errNotUTF8()
	}
	return errNotJSON()
}

// take consumes the next byte, which must be c.
func (s *scanner) take(c byte) {
	s.at++
	s.kept.add(c)
}

// accept consumes the next byte if it is one of those.
func (s *scanner) accept(a, b byte) bool {
	c := s.peek()
	if c == 0 || c != a && c != b {
		return false
	}
	s.take(c)
	return true
}

// ended returns nil if only white space is left, or the error otherwise.
func (s *scanner) ended() error {
	if s.next(); s.at < len(s.window) {
		return &InvalidError{"body", "must be one JSON object with nothing after it"}
	}
	if !errors.Is(s.end, io.EOF) {
		return s.end
	}
	return nil
}

// name reads a member's name and the colon after it. The result is valid until the next call. It is empty for a name
// that is longer than every known one.
func (s *scanner) name() ([]byte, error) {
	if s.next() != '"' {
		return nil, s.unexpected()
	}
	s.take('"')
	n := 0
	for {
		p, err := s.piece()
		if err != nil {
			return nil, err
		}
		if p == nil {
			break
		}
		n += copy(s.member[n:], p)
	}
	if s.next() != ':' {
		return nil, s.unexpected()
	}
	s.take(':')
	if n == maxName {
		n = 0
	}
	return s.member[:n], nil
}

// enter opens an object or an array.
func (s *scanner) enter(c byte) error {
	if s.depth == maxDepth {
		return errNotJSON()
	}
	s.depth++
	s.take(c)
	return nil
}

// leave closes it.
func (s *scanner) leave(c byte) {
	s.depth--
	s.take(c)
}

// object reads an object. It calls member for each member, which must read the value.
func (s *scanner) object(member func(name []byte) error) error {
	if err := s.enter('{'); err != nil {
		return err
	}
	if s.next() == '}' {
		s.leave('}')
		return nil
	}
	for {
		name, err := s.name()
		if err != nil {
			return err
		}
		s.next()
		if err := member(name); err != nil {
			return err
		}
		switch s.next() {
		case ',':
			s.take(',')
		case '}':
			s.leave('}')
			return nil
		default:
			return s.unexpected()
		}
	}
}

// skip reads a value of any kind.
func (s *scanner) skip() error {
	s.nested = s.nested[:0]
	for {
		opened, err := s.begin()
		if err != nil {
			return err
		}
		if opened {
			continue
		}
		for {
			if len(s.nested) == 0 {
				return nil
			}
			more, err := s.goOn()
			if err != nil {
				return err
			}
			if more {
				break
			}
		}
	}
}

// begin reads a simple value, or the beginning of an object or array up to its first element.
func (s *scanner) begin() (opened bool, err error) {
	switch c := s.next(); c {
	case '{', '[':
		if err := s.enter(c); err != nil {
			return false, err
		}
		if closing := s.next(); closing == c+2 {
			s.leave(closing)
			return false, nil
		}
		s.nested = append(s.nested, c == '{')
		if c == '{' {
			_, err = s.name()
		}
		return true, err
	case '"':
		s.take(c)
		for {
			if p, err := s.piece(); p == nil {
				return false, err
			}
		}
	case 't':
		return false, s.literal("true")
	case 'f':
		return false, s.literal("false")
	case 'n':
		return false, s.literal("null")
	default:
		return false, s.number()
	}
}

// goOn reads what follows a value: a comma before the next value, or the end of the enclosing object or array.
func (s *scanner) goOn() (more bool, err error) {
	inObject := s.nested[len(s.nested)-1]
	switch c := s.next(); {
	case c == ',':
		s.take(c)
		if inObject {
			_, err = s.name()
		}
		return true, err
	case c == '}' && inObject, c == ']' && !inObject:
		s.leave(c)
		s.nested = s.nested[:len(s.nested)-1]
		return false, nil
	default:
		return false, s.unexpected()
	}
}

func (s *scanner) literal(text string) error {
	for i := range len(text) {
		if !s.accept(text[i], text[i]) {
			return s.unexpected()
		}
	}
	return nil
}

func (s *scanner) number() error {
	s.accept('-', '-')
	if !s.accept('0', '0') && !s.digits() {
		return s.unexpected()
	}
	if s.accept('.', '.') && !s.digits() {
		return s.unexpected()
	}
	if s.accept('e', 'E') {
		s.accept('+', '-')
		if !s.digits() {
			return s.unexpected()
		}
	}
	return nil
}

// digits reads digits. It says whether there were any.
func (s *scanner) digits() bool {
	some := false
	for {
		w, n := s.window[s.at:], 0
		for n < len(w) && '0' <= w[n] && w[n] <= '9' {
			n++
		}
		if n > 0 {
			some = true
			s.at += n
			s.kept.add(w[:n]...)
		}
		if n < len(w) || !s.fill() {
			return some
		}
	}
}
