package ledger

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"userrelay/handler/registration"
	"userrelay/local/realkafka"
)

// Profiled returns an event with a profile of about n bytes.
func Profiled(id string, size int) registration.Event {
	return registration.Event{
		ID: id, UserID: "auth0|" + id, Source: "urn:auth0:test", Time: time.Unix(1_700_000_000, 0),
		Profile: []byte(`{"bio":"` + strings.Repeat("x", size) + `"}`),
	}
}

// CheckProfiles checks that each event is in the log once: with its profile if it fits a batch of limit bytes, and
// otherwise without it and marked as such.
func CheckProfiles(log []realkafka.Record, events []registration.Event, limit int) error {
	byID := map[string][]*realkafka.Record{}
	for i := range log {
		id := log[i].Header(IDHeader)
		byID[id] = append(byID[id], &log[i])
	}
	var problems []error
	for _, e := range events {
		if found := byID[e.ID]; len(found) != 1 {
			problems = append(problems, fmt.Errorf("%s lies in the log %d times", e.ID, len(found)))
		} else if err := checkProfile(found[0], len(e.Profile), limit); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", e.ID, err))
		}
	}
	return errors.Join(problems...)
}

func checkProfile(r *realkafka.Record, size, limit int) error {
	const around = 900 // key, headers, batch, and what a record's size is overestimated by
	omitted := r.Header("ce_profileomitted") == "true"
	has := strings.Contains(string(r.Value), `"bio"`)
	switch fits, over := size+around <= limit, size > limit; {
	case has == omitted:
		return fmt.Errorf("it has a profile: %v, and is marked as without: %v", has, omitted)
	case fits && omitted, over && !omitted:
		return fmt.Errorf("of a profile of %d bytes at a limit of %d it is marked as without: %v", size, limit, omitted)
	default:
		return nil
	}
}
