package main

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"userrelay/handler/registration"
)

// user is a user as Auth0 has it.
type user struct {
	id        string
	createdAt string // the text: it is a part of the event id
	created   time.Time
	profile   jsontext.Value
}

// errIncomplete is the reason why a user is not sent: with another event id than the Action's it would be a new event.
var errIncomplete = errors.New("must be an object with user_id and created_at; the export must name both fields")

// readUser reads one user. A profile may hold anything that is JSON.
func readUser(text []byte) (user, error) {
	var u struct {
		ID        string `json:"user_id"`
		CreatedAt string `json:"created_at"`
	}
	if err := json.Unmarshal(text, &u, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return user{}, errIncomplete // not its own words, which can repeat the profile
	}
	created, err := time.Parse(time.RFC3339Nano, u.CreatedAt)
	if err != nil || u.ID == "" {
		return user{}, errIncomplete
	}
	return user{u.ID, u.CreatedAt, created, text}, nil
}

func (u user) eventID(tenant string) string { return registration.DeriveID(tenant, u.id, u.createdAt) }

// within says whether the user was created in the span; a bound that is zero is none.
func (u user) within(from, to time.Time) bool {
	return (from.IsZero() || !u.created.Before(from)) && (to.IsZero() || u.created.Before(to))
}
