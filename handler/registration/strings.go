package registration

import (
	"errors"
	"io"
	"unicode/utf8"
)

// piece returns the next part of the current string, unescaped, or nil at its end. The result is valid until the next
// call of any method.
func (s *scanner) piece() ([]byte, error) {
	for {
		part := s.window[s.at:]
		n, err := plain(part)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			s.at += n
			s.kept.add(part[:n]...)
			return part[:n], nil
		}
		switch c := s.peek(); {
		case c == '"':
			s.take(c)
			return nil, nil
		case c == '\\':
			return s.unescape()
		case c < ' ', len(s.ahead(utf8.UTFMax)) == len(part): // a control character, the end, or an incomplete rune
			return nil, s.unexpected()
		}
	}
}

// plain counts the bytes at the beginning of b that need no unescaping.
func plain(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		c := b[n]
		if c < utf8.RuneSelf {
			if c < ' ' || c == '"' || c == '\\' {
				break
			}
			n++
			continue
		}
		r, size := utf8.DecodeRune(b[n:])
		if r == utf8.RuneError && size == 1 {
			if utf8.FullRune(b[n:]) {
				return 0, errNotUTF8()
			}
			break // the rest of it has not arrived yet
		}
		n += size
	}
	return n, nil
}

// unescape reads an escape sequence.
func (s *scanner) unescape() ([]byte, error) {
	b := s.ahead(2)
	if len(b) < 2 {
		s.at += len(b)
		return nil, s.unexpected()
	}
	r, ok := escaped(b[1])
	switch {
	case ok:
		s.at += 2
	case b[1] == 'u':
		var err error
		if r, err = s.unicode(); err != nil {
			return nil, err
		}
	default:
		return nil, errNotJSON()
	}
	s.kept.addRune(r)
	return utf8.AppendRune(s.escape[:0], r), nil
}

// escaped returns the meaning of a character after a backslash.
func escaped(c byte) (rune, bool) {
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	default:
		return 0, false
	}
}

// unicode reads \uXXXX, or both parts of a surrogate pair.
func (s *scanner) unicode() (rune, error) {
	r, ok := hexRune(s.ahead(6))
	if !ok {
		if b := s.ahead(6); len(b) < 6 && !errors.Is(s.end, io.EOF) {
			return 0, s.end
		}
		return 0, errNotJSON()
	}
	s.at += 6
	if r < 0xd800 || r > 0xdfff {
		return r, nil
	}
	if low, ok := hexRune(s.ahead(6)); ok && r < 0xdc00 && low >= 0xdc00 && low <= 0xdfff {
		s.at += 6
		return (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, nil
	}
	s.lone = true
	return utf8.RuneError, nil
}

// hexRune reads \uXXXX.
func hexRune(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 + rune(c)
	}
	return r, true
}

// text reads a string and returns at most its first most bytes. lone says that it has a lone surrogate.
func (s *scanner) text(most int) (text string, lone bool, err error) {
	s.take('"')
	s.lone = false
	var more []byte
	for {
		p, err := s.piece()
		switch {
		case err != nil:
			return "", false, err
		case p == nil && more != nil:
			return string(more), s.lone, nil
		case p == nil:
			return text, s.lone, nil
		case text == "":
			text = string(p[:min(len(p), most)])
		default:
			if more == nil {
				more = []byte(text)
			}
			more = append(more, p[:min(len(p), most-len(more))]...)
		}
	}
}
