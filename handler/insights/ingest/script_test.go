package ingest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/insights/ingest"
)

// many is n answers of the same kind.
func many(n int, s step) []step { return slices.Repeat([]step{s}, n) }

// TestScripts has the possible answers of an endpoint to four items, and the result for each item.
func TestScripts(t *testing.T) {
	all := []string{"m0", "m1", "m2", "m3"}
	refused := func(status string) ingest.Stats {
		return ingest.Stats{Tracked: 4, Rejected: 4, Reason: "status " + status}
	}
	taken := ingest.Stats{Tracked: 4, Accepted: 4}
	unread := ingest.Stats{Tracked: 4, Dropped: 4, Reason: "unread"}
	for _, c := range []struct {
		name   string
		script []step
		want   ingest.Stats
		posts  int      // requests
		got    []string // messages that were accepted by a request that was accepted as a whole
	}{
		{"accepted", nil, taken, 1, all},

		{
			"206 refuses one, asks for another again",
			[]step{{status: 206, body: `{"itemsReceived":4,"itemsAccepted":2,"errors":[
			{"index":0,"statusCode":400,"message":"bad"},{"index":2,"statusCode":500,"message":"later"}]}`}},
			ingest.Stats{Tracked: 4, Accepted: 3, Rejected: 1, Reason: "status 206"},
			2,
			[]string{"m2"},
		},
		{
			"206 with odd indices",
			[]step{{status: 206, body: `{"itemsReceived":4,"itemsAccepted":3,"errors":[
			null,{},{"index":-1,"statusCode":500},{"index":4,"statusCode":500},{"index":99,"statusCode":400},
			{"index":null,"statusCode":500},{"statusCode":500},{"index":1,"statusCode":503},{"index":1,"statusCode":400}]}`}},
			taken, 2,
			[]string{"m1"},
		},
		{
			"206 with an index that is no number",
			[]step{{status: 206, body: `{"errors":[{"index":"1","statusCode":503}]}`}},
			unread, 1,
			nil,
		},
		{
			"206 for every status that is asked for again",
			[]step{
				itemwise(401, 403, 408, 429), itemwise(439, 500, 502, 503), itemwise(504, 0, 0, 400),
			},
			ingest.Stats{Tracked: 4, Accepted: 3, Rejected: 1, Reason: "status 206"},
			4,
			[]string{"m0"},
		},
		{
			"206 for what the endpoint samples",
			[]step{{status: 206, body: `{"itemsReceived":4,"itemsAccepted":3,"errors":[
			{"index":1,"statusCode":206,"message":"Telemetry sampled out."}]}`}},
			taken, 1,
			nil,
		},
		{
			"206 that accepts fewer than it explains",
			[]step{{status: 206, body: `{"itemsReceived":4,"itemsAccepted":1,"errors":[null]}`}},
			ingest.Stats{Tracked: 4, Accepted: 1, Rejected: 3, Reason: "status 206"},
			1,
			nil,
		},
		{
			"206 with numbers that cannot be",
			[]step{{status: 206, body: `{"itemsReceived":-7,"itemsAccepted":-3,"errors":null}`}},
			ingest.Stats{Tracked: 4, Rejected: 4, Reason: "status 206"},
			1,
			nil,
		},
		{
			"206 that accepts more than it got",
			[]step{{status: 206, body: `{"itemsReceived":9,"itemsAccepted":9,"errors":[]}`}},
			taken, 1,
			nil,
		},
		{
			"206 without a body",
			[]step{{status: 206, body: " "}},
			unread, 1,
			nil,
		},
		{
			"206 with a body that is cut off",
			[]step{{status: 206, body: `{"itemsReceived":4,"itemsAcc`}},
			unread, 1,
			nil,
		},

		{"400 bad data or key", many(1, step{status: 400}), refused("400"), 1, nil},
		{"404 another stamp's key", many(1, step{status: 404}), refused("404"), 1, nil},
		{"301 is not followed", many(1, step{status: 301, location: "http://127.0.0.1:1/v2.1/track"}), refused("301"), 1, nil},
		{"302 is not followed", many(1, step{status: 302, location: "http://127.0.0.1:1/v2.1/track"}), refused("302"), 1, nil},
		{"307 to nowhere", many(1, step{status: 307}), refused("307"), 1, nil},
		{"307 to a foreign host", many(1, step{status: 307, location: "https://evil.example/v2.1/track"}), refused("307"), 1, nil},
		{"308 to this machine", many(1, step{status: 308, location: "http://127.0.0.1:2/v2.1/track"}), taken, 2, all},
		{
			"308 without end", many(11, step{status: 308, location: "/v2.1/track"}),
			taken, 12,
			all,
		},
		{"202 is nothing that the endpoint says", many(1, step{status: 202}), refused("202"), 1, nil},

		{
			"402 daily cap", many(1, step{status: 402}),
			ingest.Stats{Tracked: 4, Dropped: 4, Reason: "capped"},
			1,
			nil,
		},
		{
			"439 quota", many(1, step{status: 439, retryAfter: "1"}),
			ingest.Stats{Tracked: 4, Dropped: 4, Reason: "capped"},
			1,
			nil,
		},

		{
			"401 until the role counts", many(3, step{status: 401}),
			taken, 4,
			all,
		},
		{
			"403 until the role counts", many(2, step{status: 403}),
			taken, 3,
			all,
		},

		{"408", many(1, step{status: 408}), taken, 2, all},
		{"429", many(1, step{status: 429}), taken, 2, all},
		{"429 with Retry-After in seconds", many(1, step{status: 429, retryAfter: "30"}), taken, 2, all},
		{"429 with Retry-After that is no time", many(1, step{status: 429, retryAfter: "soon"}), taken, 2, all},
		{"500", many(1, step{status: 500}), taken, 2, all},
		{"502", many(1, step{status: 502}), taken, 2, all},
		{"503 for a while", many(5, step{status: 503}), taken, 6, all},
		{"504", many(1, step{status: 504}), taken, 2, all},
		{"no connection for a while", many(5, step{status: broken}), taken, 6, all},
		{"hangs, then answers", many(2, step{hang: true}), taken, 3, all},

		{"413 once", many(1, step{status: 413}), taken, 3, all},
		{
			"413 also for one half", many(2, step{status: 413}),
			ingest.Stats{Tracked: 4, Accepted: 2, Rejected: 2, Reason: "status 413"},
			3,
			[]string{"m2", "m3"},
		},
		{
			"413 and then 206",
			[]step{{status: 413}, {status: 206, body: `{"itemsAccepted":1,"errors":[{"index":1,"statusCode":503}]}`}},
			taken, 4,
			[]string{"m2", "m3", "m1"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{script: c.script}
				s := newSender(t, ingest.Config{Transport: e})
				for _, m := range all {
					trackTrace(s, m)
				}
				for range 110 { // 55 s; the item telemetry-stats comes after 60
					<-time.After(500 * time.Millisecond)
					synctest.Wait()
					addUp(t, s.Stats())
				}
				got := s.Stats()
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if n := len(e.requests()); n != c.posts {
					t.Errorf("%d requests, want %d", n, c.posts)
				}
				if diff := cmp.Diff(c.got, e.messages(t)); diff != "" {
					t.Errorf("messages (-want +got):\n%s", diff)
				}
				s.Close(time.Second)
				if diff := cmp.Diff(c.want, s.Stats()); diff != "" {
					t.Errorf("closed (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// itemwise is a 206 with a status for each item.
func itemwise(statuses ...int) step {
	var errors []string
	for i, status := range statuses {
		if status != 0 {
			errors = append(errors, fmt.Sprintf(`{"index":%d,"statusCode":%d}`, i, status))
		}
	}
	return step{status: http.StatusPartialContent, body: `{"errors":[` + strings.Join(errors, ",") + `]}`}
}
