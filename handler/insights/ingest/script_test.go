package ingest_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/insights/ingest"
)

// partly is a 206 for four items.
func partly(accepted int, errors string) step {
	return step{status: 206, body: fmt.Sprintf(`{"itemsReceived":4,"itemsAccepted":%d,"errors":%s}`, accepted, errors)}
}

// itemwise is a 206 with a status for each item.
func itemwise(statuses ...int) step {
	var errors []string
	for i, status := range statuses {
		if status != 0 {
			errors = append(errors, fmt.Sprintf(`{"index":%d,"statusCode":%d}`, i, status))
		}
	}
	return step{status: 206, body: `{"errors":[` + strings.Join(errors, ",") + `]}`}
}

// script is what an endpoint answers to four items, and what becomes of them.
type script struct {
	name  string
	steps []step
	want  ingest.Stats
	posts int    // requests
	got   string // items that were accepted by requests that were accepted as a whole
}

func scripts() []script {
	const all = "m0 m1 m2 m3"
	taken := ingest.Stats{Tracked: 4, Accepted: 4}
	unread := ingest.Stats{Tracked: 4, Dropped: 4, Reason: "unread"}
	capped := ingest.Stats{Tracked: 4, Dropped: 4, Reason: "capped"}
	refuses := func(n int64, status int) ingest.Stats {
		return ingest.Stats{Tracked: 4, Accepted: 4 - n, Rejected: n, Reason: "status " + strconv.Itoa(status)}
	}
	body := func(text string) []step { return []step{{status: 206, body: text}} }
	scripts := []script{
		{"accepted", nil, taken, 1, all},
		{"206 refuses one, asks for another again", []step{itemwise(400, 0, 500, 0)}, refuses(1, 206), 2, "m2"},
		{"206 with odd indices", []step{partly(3, `[null, {}, {"index":-1,"statusCode":500}, {"index":4,"statusCode":500},
			{"index":99,"statusCode":400}, {"index":2147483648,"statusCode":500}, {"index":null,"statusCode":500}, {"statusCode":500},
			{"index":1,"statusCode":503}, {"index":1,"statusCode":400}]`)}, taken, 2, "m1"},
		{
			"206 for every status that is asked for again",
			[]step{itemwise(401, 403, 408, 429), itemwise(439, 500, 502, 503), itemwise(504, 0, 0, 400)},
			refuses(1, 206), 4, "m0",
		},
		{"206 for what the endpoint samples", []step{partly(3, `[{"index":1,"statusCode":206,"message":"sampled out"}]`)}, taken, 1, ""},
		{"206 that accepts fewer than it explains", []step{partly(1, `[null]`)}, refuses(3, 206), 1, ""},
		{"206 with numbers that cannot be", []step{partly(-3, `null`)}, refuses(4, 206), 1, ""},
		{"206 that accepts more than it got", []step{partly(9, `[]`)}, taken, 1, ""},
		{"206 with an index that is no number", body(`{"errors":[{"index":"1","statusCode":503}]}`), unread, 1, ""},
		{"206 with errors that are no list", body(`{"errors":{}}`), unread, 1, ""},
		{"206 with errors that are lists", body(`{"errors":[[]]}`), unread, 1, ""},
		{"206 without a body", body(""), unread, 1, ""},
		{"206 with a body of which only a part is read", body(strings.Repeat(" ", 2<<20) + `{"errors":[]}`), unread, 1, ""},
		{"206 with a body that is cut off", body(`{"itemsReceived":4,"itemsAcc`), unread, 1, ""},

		{"301 is not followed", many(1, step{status: 301, location: "http://127.0.0.1:1/v2.1/track"}), refuses(4, 301), 1, ""},
		{"302 is not followed", many(1, step{status: 302, location: "http://127.0.0.1:1/v2.1/track"}), refuses(4, 302), 1, ""},
		{"308 without end", many(11, step{status: 308, location: "/v2.1/track"}), taken, 12, all},

		{"402 daily cap", many(1, step{status: 402}), capped, 1, ""},
		{"439 quota", many(1, step{status: 439}), capped, 1, ""},

		{"hangs, then answers", many(2, step{hang: true}), taken, 3, all},
		{"413 once", many(1, step{status: 413}), taken, 3, all},
		{"413 also for one half", many(2, step{status: 413}), refuses(2, 413), 3, "m2 m3"},
		{"413 and then 206", []step{{status: 413}, itemwise(0, 503)}, taken, 4, "m2 m3 m1"},
	}
	for n, status := range []int{401, 403, 408, 429, 500, 502, 503, 504, broken} { // again, up to five times
		scripts = append(scripts, script{strconv.Itoa(status), many(n/2+1, step{status: status}), taken, n/2 + 2, all})
	}
	for _, status := range []int{202, 303, 307, 400, 404} {
		scripts = append(scripts, script{strconv.Itoa(status), many(1, step{status: status}), refuses(4, status), 1, ""})
	}
	return scripts
}

func TestScripts(t *testing.T) {
	for _, c := range scripts() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{script: c.steps}
				s := newSender(t, ingest.Config{Transport: e})
				for i := range 4 {
					track(s, fmt.Sprint("m", i))
				}
				for range 110 { // 55 s; the item telemetry-stats comes after 60
					<-time.After(500 * time.Millisecond)
					synctest.Wait()
					addUp(t, s.Stats())
				}
				if diff := cmp.Diff(c.want, s.Stats()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if n := len(e.requests()); n != c.posts {
					t.Errorf("%d requests, want %d", n, c.posts)
				}
				if got := strings.Join(e.accepted(), " "); got != c.got {
					t.Errorf("accepted %q, want %q", got, c.got)
				}
			})
		})
	}
}
