// Package registration defines the registration of a user.
//
// It reads the four forms in which a registration reaches the function (see Decoder) into one Event, and writes an
// Event as the Kafka record that consumers rely on (see Event.Record). It promises that every event from Decode has a
// user id, an event id and a record that fits Kafka, and that no error repeats anything of the request.
package registration

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Type is the CloudEvents type of every event that is forwarded.
const Type = "user.created"

// Schema is the CloudEvents dataschema of every record's value: the name of docs/schemas/user.created.1.json. A value
// that older consumers cannot read would need another name.
const Schema = "urn:userrelay:schema:user.created:1"

// Event is the registration of one user, independent of the form of the request.
type Event struct {
	// ID is the event id (CloudEvents id): 1 to 128 visible ASCII characters. The same registration sent again has
	// the same ID.
	ID string
	// Chosen says that the caller chose the id in RepeatKey. A derived ID identifies a registration, not a request:
	// two requests for the same user without an id share it.
	Chosen bool
	// UserID is the Auth0 user id: 1 to 1024 bytes of UTF-8 that are not blank. It is unique within a tenant and may
	// hold any character, including line feeds and '|'. Show people Shown(UserID).
	UserID string
	// Source is the CloudEvents source, a URI reference.
	Source string
	// Auth0Source and Auth0ID are the source and id of the CloudEvent that Auth0 Event Streams sent; otherwise empty.
	// The rules of Source and ID hold for them.
	Auth0Source, Auth0ID string
	// TenantLeftOut says that the request named an invalid tenant. It is logged, and stored nowhere.
	TenantLeftOut bool
	// Time is when the user was created, or when the request arrived if it has no such time.
	Time time.Time
	// Test marks an event that Auth0 Event Streams sent as a test (a0purpose).
	Test bool
	// Profile is the user's profile, one compact JSON object, or nil if there is none or none is wanted. It holds
	// personal data.
	Profile []byte
	// ProfileOmitted says that the profile was too large to be stored.
	ProfileOmitted bool
}

// RepeatKey identifies repeated requests for one registration: an id is unique within its source. For a CloudEvent it
// has the CloudEvent's own source and id, not the record's.
type RepeatKey struct{ Source, ID string }

// RepeatKey returns the event's repeat key.
func (e Event) RepeatKey() RepeatKey {
	return RepeatKey{Source: cmp.Or(e.Auth0Source, e.Source), ID: cmp.Or(e.Auth0ID, e.ID)}
}

// WithoutProfile returns the event in the form that is stored if its profile is too large. An event without a profile
// is returned unchanged.
func (e Event) WithoutProfile() Event {
	if e.Profile == nil {
		return e
	}
	e.Profile, e.ProfileOmitted = nil, true
	return e
}

// IDOnly returns the event in the form that is stored if no profile is wanted.
func (e Event) IDOnly() Event {
	e.Profile, e.ProfileOmitted = nil, false
	return e
}

// InvalidError says why a request is not a registration. It names the member and the rule, never the value.
type InvalidError struct {
	Member string // as the caller wrote it: "userId", "data.object.user_id", "Idempotency-Key", "body"
	Rule   string // what it must be
}

func (e *InvalidError) Error() string { return e.Member + ": " + e.Rule }

// IgnoredError says that a request is a well-formed CloudEvent of a type that this program does not forward. The
// answer must be a success: Auth0 stops a stream whose events are refused.
type IgnoredError struct {
	ID   string // event id
	Type string // the CloudEvents type, at most 256 bytes
}

func (e *IgnoredError) Error() string { return "ignored: events of this type are not forwarded" }

// DeriveID returns the event id of a registration whose sender gave none. It is the same for the same tenant, user id
// and time of creation, in whatever format the time is written. createdAt is the text of the profile's created_at, or
// empty; tenant is empty if unknown. This project's Actions derive the same id.
func DeriveID(tenant, userID, createdAt string) string {
	b := make([]byte, 0, 256) // room for nearly all
	b = append(append(b, tenant...), '\n')
	b = append(append(b, userID...), '\n')
	return hashed("a0pur_", append(b, canonical(createdAt)...))
}

func hashed(prefix string, text []byte) string {
	sum := sha256.Sum256(text)
	return string(hex.AppendEncode(append(make([]byte, 0, 38), prefix...), sum[:16]))
}

// Limits, in bytes.
const (
	maxUserID = 1024 // Auth0 has no limit; its own ids are shorter than 100
	maxID     = 128
	maxTenant = 128
	maxSource = 2048
	maxType   = 256 // of an ignored type, which the answer repeats
)

// validUserID accepts every id that Auth0 may have. The Management API's rule ^\S*$ does not hold for all: enterprise
// and custom connections define the ids of their users.
func validUserID(s string) bool {
	return len(s) <= maxUserID && utf8.ValidString(s) && strings.TrimSpace(s) != ""
}

func userIDRule() string {
	return fmt.Sprintf("must be a string of 1 to %d bytes that is not blank", maxUserID)
}

func validID(s string) bool { return 1 <= len(s) && len(s) <= maxID && visibleASCII(s) }

func idRule() string { return fmt.Sprintf("must be 1 to %d visible ASCII characters", maxID) }

// validSource accepts the characters of a URI reference and some others. None of them needs escaping in a header.
func validSource(s string) bool { return 1 <= len(s) && len(s) <= maxSource && visibleASCII(s) }

func visibleASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// ValidTenant says whether s can be the name of an Auth0 tenant: 1 to 128 ASCII letters, digits, '.', '_' and '-'.
func ValidTenant(s string) bool {
	return 1 <= len(s) && len(s) <= maxTenant && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	})
}
