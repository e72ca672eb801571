package registration

import "unicode/utf8"

// kept is JSON text that a scanner has read, in canonical form: without white space, with escapes only where JSON
// requires them, and with U+FFFD for a lone surrogate. It equals the output of jsontext.AppendFormat.
type kept struct {
	text []byte
	most int  // bytes; longer text is cut off
	cut  bool // it was
	room Room // nil: there is enough
	full bool // there was not, and the rest is missing
}

func (k *kept) add(b ...byte) {
	if k == nil || k.cut || k.full {
		return
	}
	need := len(k.text) + len(b)
	if need > k.most {
		k.cut = true
		return
	}
	if need > cap(k.text) && !k.grow(need) {
		k.full = true
		return
	}
	k.text = append(k.text, b...)
}

func (k *kept) grow(need int) bool {
	room := min(max(need, 2*cap(k.text)), k.most)
	if k.room != nil && !k.room.Take(room-cap(k.text)) {
		return false
	}
	k.text = append(make([]byte, 0, room), k.text...)
	return true
}

// addRune adds a rune of a string that was escaped.
func (k *kept) addRune(r rune) {
	if k == nil {
		return
	}
	const hex = "0123456789abcdef"
	switch {
	case r == '"' || r == '\\':
		k.add('\\', byte(r))
	case r == '\b':
		k.add('\\', 'b')
	case r == '\f':
		k.add('\\', 'f')
	case r == '\n':
		k.add('\\', 'n')
	case r == '\r':
		k.add('\\', 'r')
	case r == '\t':
		k.add('\\', 't')
	case r < ' ':
		k.add('\\', 'u', '0', '0', hex[r>>4], hex[r&15])
	default:
		var b [utf8.UTFMax]byte
		k.add(utf8.AppendRune(b[:0], r)...)
	}
}

// len returns how many bytes are kept so far, or -1 if the text was cut off.
func (k *kept) len() int {
	if k == nil || k.cut || k.full {
		return -1
	}
	return len(k.text)
}
