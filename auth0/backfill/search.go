package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	neturl "net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	perPage    = 100  // the API's maximum
	maxResults = 1000 // the API's maximum for a search, however many users there are
	rereads    = 3    // of a span whose users change during the search

	slowTries    = 3    // of a search that Auth0 aborted
	shortestSlow = 1000 // ms; a shorter span is not halved after a slow search
)

// errSlow says that Auth0 aborted a search, which it does after 2 seconds.
var errSlow = errors.New("Auth0 aborted the search (HTTP 503)")

// search finds users by their time of creation.
type search struct {
	api     *api
	profile bool // else two members of it do
	tell    func(format string, args ...any)
	told    bool // that a search was slow
}

// span is a time span in ms, including both ends, because created_at has milliseconds.
type span struct{ from, to int64 }

// users yields the users created from a time until before another. It halves a span with too many users until it has
// few enough. It ends with the first error that is not an *unreadableError.
func (s *search) users(ctx context.Context, from, to time.Time) iter.Seq2[user, error] {
	return func(yield func(user, error) bool) {
		waiting := []span{{from.Add(time.Millisecond - 1).UnixMilli(), to.Add(-1).UnixMilli()}}
		for len(waiting) > 0 {
			last := len(waiting) - 1
			next := waiting[last]
			waiting = waiting[:last]
			if next.from > next.to {
				continue
			}
			found, total, err := s.read(ctx, next)
			slow := errors.Is(err, errSlow)
			middle := next.from + (next.to-next.from)/2
			switch {
			case slow && next.to-next.from >= shortestSlow, err == nil && total >= maxResults && middle < next.to:
				if slow && !s.told {
					s.told = true
					s.tell("Auth0 aborted a search after 2 seconds (HTTP 503): halving the time span")
				}
				waiting = append(waiting, span{middle + 1, next.to}, span{next.from, middle})
				continue
			case slow:
				yield(user{}, fmt.Errorf("search for users: %w, %s; if the Management API is not down, use an export job", err, next))
				return
			case err != nil:
				yield(user{}, fmt.Errorf("search for users: %w", err))
				return
			case total >= maxResults:
				yield(user{}, fmt.Errorf("search for users: %d users in one millisecond, %s; use an export job", total, next))
				return
			}
			for i, text := range found {
				u, err := readUser(text)
				if err != nil {
					err = &unreadableError{fmt.Sprintf("%s, user %d", next, i+1), err}
				}
				if !yield(u, err) {
					return
				}
			}
		}
	}
}

// read reads all pages of a span, unless it has too many users. If a user is deleted during that time, another one
// moves to a page that was read already; then it reads the span again.
func (s *search) read(ctx context.Context, of span) (found []jsontext.Value, total int, err error) {
	for range rereads {
		var whole bool
		if found, total, whole, err = s.readOnce(ctx, of); err != nil || whole {
			return found, total, err
		}
	}
	return nil, 0, fmt.Errorf("got %d of %d users, %s", len(found), total, of)
}

// readOnce reads the pages, and says whether they are complete: the right total, and no page with too few users.
func (s *search) readOnce(ctx context.Context, of span) (found []jsontext.Value, total int, whole bool, err error) {
	for number := 0; ; number++ {
		var page struct {
			Users []jsontext.Value `json:"users"`
			Total int              `json:"total"`
		}
		err := s.api.get(ctx, "/api/v2/users", s.query(of, number), &page, slowTries)
		if refused, ok := errors.AsType[*apiError](err); ok && refused.status == http.StatusServiceUnavailable {
			return nil, 0, false, errSlow
		}
		if err != nil {
			return nil, 0, false, err
		}
		if number > 0 && page.Total != total {
			return found, page.Total, false, nil
		}
		found, total = append(found, page.Users...), page.Total
		if total >= maxResults || len(found) >= total {
			return found, total, true, nil
		}
		if len(page.Users) == 0 {
			return found, total, false, nil
		}
	}
}

func (s *search) query(of span, page int) neturl.Values {
	query := neturl.Values{
		"q":              {"created_at:" + of.String()},
		"search_engine":  {"v3"},
		"sort":           {"created_at:1"},
		"page":           {strconv.Itoa(page)},
		"per_page":       {strconv.Itoa(perPage)},
		"include_totals": {"true"},
	}
	if !s.profile {
		query.Set("fields", "user_id,created_at")
		query.Set("include_fields", "true")
	}
	return query
}

// String returns the span in the search's syntax.
func (s span) String() string {
	text := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
	return "[" + text(s.from) + " TO " + text(s.to) + "]"
}
