package main

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"userrelay/handler/registration"
)

// user is a user of Auth0.
type user struct {
	id        string
	createdAt string // the text: it is a part of the event id
	created   time.Time
	profile   jsontext.Value

	// For a user from an event of Auth0:
	event   *streamed
	at      time.Time // of the event
	tenant  string    // that the event names
	settled func()    // is called when the user was delivered or is skipped
}

// Reasons for not sending a user: with an event id other than the Action's it would be a new event. They repeat
// nothing of the profile.
var (
	errNoJSON      = errors.New("is not a JSON object")
	errNoID        = errors.New("user_id is missing; the export must include this field")
	errNoIDText    = errors.New("user_id must be a string, and not empty")
	errNoCreated   = errors.New("created_at is missing; the export must include this field")
	errNoTimestamp = errors.New("created_at must be a time, such as 2026-11-21T19:00:00.123Z")
)

// readUser reads a user. A profile may hold any JSON.
func readUser(text []byte) (user, error) {
	var u struct {
		ID        jsontext.Value `json:"user_id"`
		CreatedAt jsontext.Value `json:"created_at"`
	}
	if err := json.Unmarshal(text, &u, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return user{}, errNoJSON // not the library's error, which can repeat the profile
	}
	found := user{profile: text}
	switch {
	case missing(u.ID):
		return user{}, errNoID
	case !textOf(u.ID, &found.id):
		return user{}, errNoIDText
	case missing(u.CreatedAt):
		return user{}, errNoCreated
	case !textOf(u.CreatedAt, &found.createdAt):
		return user{}, errNoTimestamp
	}
	var err error
	if found.created, err = time.Parse(time.RFC3339Nano, found.createdAt); err != nil {
		return user{}, errNoTimestamp
	}
	return found, nil
}

func missing(v jsontext.Value) bool { return v == nil || v.Kind() == jsontext.KindNull }

// textOf reads a non-empty string.
func textOf(v jsontext.Value, into *string) bool {
	return v.Kind() == jsontext.KindString && json.Unmarshal(v, into, jsontext.AllowInvalidUTF8(true)) == nil && *into != ""
}

func (u user) eventID(tenant string) string {
	if u.tenant != "" {
		tenant = u.tenant
	}
	return registration.DeriveID(tenant, u.id, u.createdAt)
}

// settle says that nothing is left to do for the user.
func (u user) settle() {
	if u.settled != nil {
		u.settled()
	}
}

// within says whether the user was created in the span. A zero bound means no bound.
func (u user) within(from, to time.Time) bool {
	return (from.IsZero() || !u.created.Before(from)) && (to.IsZero() || u.created.Before(to))
}
