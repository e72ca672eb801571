// Package registration says what the registration of a user is.
//
// It reads the four forms in which a registration reaches the function (see Decoder) into one Event, and writes an
// Event as the Kafka record that consumers rely on (see Event.Record). It promises that whatever Decode accepts has a
// user id, an event id and a record that fits Kafka, and that no error it returns repeats anything of what was sent.
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

// Schema is the CloudEvents dataschema of every record's value: the name of docs/schemas/user.created.1.json. A value that
// an older consumer could not read would have another.
const Schema = "urn:userrelay:schema:user.created:1"

// Event is the registration of one user, whatever the request looked like.
type Event struct {
	// ID is the event id (CloudEvents id): 1 to 128 visible ASCII characters. The same registration sent again has
	// the same ID.
	ID string
	// Chosen says that the caller chose what RepeatKey returns. A derived ID names a registration, not a request: two
	// requests for the same user without an id of their own share it.
	Chosen bool
	// UserID is the Auth0 user id: 1 to 1024 bytes of UTF-8 that are not blank. It is unique within a tenant and may hold
	// any character, line feeds and '|' among them: people are shown Shown(UserID).
	UserID string
	// Source is the CloudEvents source, a URI reference.
	Source string
	// Auth0Source and Auth0ID are the CloudEvent's own source and id, as Auth0 Event Streams sent it; else empty. They are
	// as sound as Source and ID.
	Auth0Source, Auth0ID string
	// TenantLeftOut says that the request named a tenant that cannot be one. It is for the log, and stored nowhere.
	TenantLeftOut bool
	// Time is when the user was created as far as the request tells, else when the request came.
	Time time.Time
	// Test marks an event that Auth0 Event Streams sent as a test (a0purpose).
	Test bool
	// Profile is the user's profile, one compact JSON object, or nil where there is none or none is wanted. It holds
	// personal data.
	Profile []byte
	// ProfileOmitted says that there was a profile which did not fit.
	ProfileOmitted bool
}

// RepeatKey is what requests have in common that send one registration again: an id is good for one source. For a
// CloudEvent they are its own, whatever the record has.
type RepeatKey struct{ Source, ID string }

// RepeatKey returns the event's.
func (e Event) RepeatKey() RepeatKey {
	return RepeatKey{Source: cmp.Or(e.Auth0Source, e.Source), ID: cmp.Or(e.Auth0ID, e.ID)}
}

// WithoutProfile returns the event as it is stored where its profile does not fit. An event that has no profile is
// returned as it is.
func (e Event) WithoutProfile() Event {
	if e.Profile == nil {
		return e
	}
	e.Profile, e.ProfileOmitted = nil, true
	return e
}

// IDOnly returns the event as it is stored where no profile is wanted.
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

// IgnoredError says that a request is a well-formed CloudEvent of a type that is forwarded nowhere. Its sender must not
// be told that it failed: Auth0 switches off a stream whose events are refused.
type IgnoredError struct {
	ID   string // event id
	Type string // the CloudEvents type, at most 256 bytes
}

func (e *IgnoredError) Error() string { return "ignored: events of this type are not forwarded" }

// DeriveID returns the event id of a registration whose sender gave none: the same for the same tenant, user id and
// time of creation, however that is spelt. createdAt is the text of the profile's created_at, or empty; so is tenant where
// it is not known. The Actions that come with this project make the same id.
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
	maxUserID = 1024 // Auth0 sets none; its own ids are shorter than 100
	maxID     = 128
	maxTenant = 128
	maxSource = 2048
	maxType   = 256 // of an ignored type, which the answer repeats
)

// validUserID lets pass whatever Auth0 may have. Its rule ^\S*$ is the Management API's: ids of users who come from an
// enterprise or a custom connection are what that says.
func validUserID(s string) bool {
	return len(s) <= maxUserID && utf8.ValidString(s) && strings.TrimSpace(s) != ""
}

func userIDRule() string {
	return fmt.Sprintf("must be a string of 1 to %d bytes that is not blank", maxUserID)
}

func validID(s string) bool { return 1 <= len(s) && len(s) <= maxID && visibleASCII(s) }

func idRule() string { return fmt.Sprintf("must be 1 to %d visible ASCII characters", maxID) }

// validSource lets pass what a URI reference is made of, and some more; nothing in it needs escaping in a header.
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
