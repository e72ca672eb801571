package registration

import (
	"errors"
	"io"
)

// Body is the body of a request.
type Body struct {
	io.Reader
	// Length is the length of the body in bytes, or 0 if unknown. For a small body this much memory is reserved.
	Length int64
	// Room limits the memory for the body; nil: no limit.
	Room Room
}

// Room grants memory.
type Room interface {
	// Take is called before n more bytes are kept. If it returns false they are not kept.
	Take(n int) bool
}

// ErrNoRoom says that Body.Room granted too little memory.
var ErrNoRoom = errors.New("no room for the body")

// request is the kept part of a body: the known members of all forms. None is larger than maxText, and a profile is
// kept up to the size of a record.
type request struct {
	// of a CloudEvent
	specversion, specVersion, typ, id, source, time, a0tenant, a0purpose member

	data   member
	object profile // data.object

	// of the other forms
	userID, eventID, tenant member

	user  profile
	bare  profile // the body itself, as Auth0's event.user
	value profile
	noObj bool // value is a string that holds no JSON object
}

// member is one member of an object.
type member struct {
	text  string // a string's first maxText bytes
	count uint32 // how often it occurs
	kind  byte   // how its value begins; 0 where it is absent or null
	lone  bool   // it has a lone surrogate and is not Unicode text
}

// profile is a member that is a user's profile.
type profile struct {
	member

	userID, createdAt, tenant member

	kept     *kept // nil: not wanted
	from, to int   // its position in there; negative if it was cut off
}

// maxText is how much of a string is kept, in bytes: a little more than any rule allows.
const maxText = maxSource + 1

// A profile is kept up to the size of a record. The limit for the whole body is a little higher, because the profile
// is a part of it.
const maxAround = 64 << 10

// read reads a body to its end, or to the first error.
func (r *request) read(b Body, profile bool) error {
	size := int(min(max(b.Length+1, minWindow), maxWindow)) // one byte more than announced, to reach the end with the first read
	if b.Length <= 0 {
		size = 512
	}
	if b.Room != nil && !b.Room.Take(size) {
		return ErrNoRoom
	}
	s := &scanner{src: b.Reader, room: make([]byte, size)}
	if profile {
		s.kept = &kept{most: MaxRecord + maxAround, room: b.Room}
		if b.Length > 0 && !s.kept.grow(size) {
			return ErrNoRoom
		}
	}
	if string(s.ahead(len(byteOrder))) == byteOrder {
		s.at += len(byteOrder)
	}
	if s.next() != '{' {
		return s.noObject()
	}
	r.bare.member, r.bare.kept = member{count: 1, kind: '{'}, s.kept
	if err := s.object(func(name []byte) error { return r.top(s, name) }); err != nil {
		return err
	}
	r.bare.to = s.kept.len()
	if s.kept != nil && s.kept.full || r.value.kept != nil && r.value.kept.full {
		return ErrNoRoom
	}
	return s.ended()
}

// noObject is the error for a text that does not begin with an object.
func (s *scanner) noObject() error {
	err := s.unexpected()
	if invalid, ok := errors.AsType[*InvalidError](err); ok && invalid.Rule == notJSON {
		return &InvalidError{"body", "must be a JSON object"}
	}
	return err
}

// top reads a member of the body.
func (r *request) top(s *scanner, name []byte) error {
	if m := r.text(name); m != nil {
		return m.read(s)
	}
	switch string(name) {
	case "data":
		return r.readData(s)
	case "user":
		return r.user.read(s)
	case "value":
		return r.readValue(s)
	default:
		return s.skip()
	}
}

// text returns the text member of that name, or nil.
func (r *request) text(name []byte) *member {
	switch string(name) {
	case "userId":
		return &r.userID
	case "user_id":
		return &r.bare.userID
	case "eventId":
		return &r.eventID
	case "tenant":
		return &r.tenant
	case "created_at":
		return &r.bare.createdAt
	case "specversion":
		return &r.specversion
	case "spec_version":
		return &r.specVersion
	case "type":
		return &r.typ
	case "id":
		return &r.id
	case "source":
		return &r.source
	case "time":
		return &r.time
	case "a0tenant":
		return &r.a0tenant
	case "a0purpose":
		return &r.a0purpose
	default:
		return nil
	}
}

// has says whether the member has a value.
func (m *member) has() bool { return m.kind != 0 }

// read reads the member's value.
func (m *member) read(s *scanner) error {
	m.count++
	var err error
	switch c := s.peek(); c {
	case '"':
		m.kind = c
		m.text, m.lone, err = s.text(maxText)
		return err
	case 'n':
		return s.skip()
	default:
		m.kind = c
		return s.skip()
	}
}

// readData reads a CloudEvent's data.
func (r *request) readData(s *scanner) error {
	if s.peek() != '{' {
		return r.data.read(s)
	}
	r.data.count++
	r.data.kind = '{'
	return s.object(func(name []byte) error {
		if string(name) == "object" {
			return r.object.read(s)
		}
		return s.skip()
	})
}

// read reads a profile.
func (p *profile) read(s *scanner) error {
	if s.peek() != '{' {
		return p.member.read(s)
	}
	p.count++
	p.kind, p.kept, p.from = '{', s.kept, s.kept.len()
	err := s.object(func(name []byte) error {
		switch string(name) {
		case "user_id":
			return p.userID.read(s)
		case "created_at":
			return p.createdAt.read(s)
		case "tenant":
			return p.tenant.read(s)
		default:
			return s.skip()
		}
	})
	p.to = s.kept.len()
	return err
}

// readValue reads the value that clients of Kafka REST services send: a profile, or its JSON text in a string.
func (r *request) readValue(s *scanner) error {
	if s.peek() != '"' {
		return r.value.read(s)
	}
	s.take('"')
	s.lone = false
	inside := &inString{s: s}
	inner := &scanner{src: inside, room: make([]byte, 512), depth: s.depth}
	if s.kept != nil {
		inner.kept = &kept{most: MaxRecord, room: s.kept.room}
	}
	err := r.value.readText(inner)
	for !inside.done && inside.err == nil { // the rest of the string
		_, inside.done, inside.err = inside.next()
	}
	r.noObj = err != nil || s.lone
	return inside.err
}

// readText reads a text that consists of one profile.
func (p *profile) readText(s *scanner) error {
	if s.next() != '{' {
		p.count++
		p.kind = '"'
		return errNotJSON()
	}
	if err := p.read(s); err != nil {
		return err
	}
	return s.ended()
}

// inString reads the content of a string.
type inString struct {
	s    *scanner
	rest []byte
	done bool
	err  error
}

func (r *inString) next() (p []byte, done bool, err error) {
	p, err = r.s.piece()
	return p, p == nil && err == nil, err
}

func (r *inString) Read(b []byte) (int, error) {
	if len(r.rest) == 0 && !r.done && r.err == nil {
		r.rest, r.done, r.err = r.next()
	}
	switch n := copy(b, r.rest); {
	case r.err != nil:
		return 0, r.err
	case r.done:
		return 0, io.EOF
	default:
		r.rest = r.rest[n:]
		return n, nil
	}
}

// json returns the profile. omitted says that there is one that is too large.
func (p *profile) json() (text []byte, omitted bool) {
	switch {
	case p.kept == nil || p.kind != '{':
		return nil, false
	case p.from < 0 || p.to < 0:
		return nil, true
	default:
		return p.kept.text[p.from:p.to:p.to], false
	}
}

// sound returns a member's text if it occurs once and is a string of valid Unicode, otherwise "".
func (m *member) sound() string {
	if m.kind != '"' || m.lone || m.count > 1 {
		return ""
	}
	return m.text
}
