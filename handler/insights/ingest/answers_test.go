package ingest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/insights/ingest"
	"userrelay/test/must"
)

// TestAnswers has what an endpoint can answer to four items, and what becomes of them.
func TestAnswers(t *testing.T) {
	const all = "m0 m1 m2 m3"
	taken := ingest.Stats{Tracked: 4, Accepted: 4}
	unread := ingest.Stats{Tracked: 4, Dropped: 4, Reason: "unread"}
	capped := ingest.Stats{Tracked: 4, Dropped: 4, Reason: "capped"}
	refuses := func(n int64, status int) ingest.Stats {
		return ingest.Stats{Tracked: 4, Accepted: 4 - n, Rejected: n, Reason: "status " + strconv.Itoa(status)}
	}
	body := func(text string) []step { return []step{{status: http.StatusPartialContent, body: text}} }
	partly := func(accepted int, errors string) step {
		return body(fmt.Sprintf(`{"itemsReceived":4,"itemsAccepted":%d,"errors":%s}`, accepted, errors))[0]
	}
	type row struct {
		name  string
		steps []step
		want  ingest.Stats
		posts int    // requests
		got   string // items of requests that were accepted as a whole
	}
	rows := []row{
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
		rows = append(rows, row{strconv.Itoa(status), many(n/2+1, step{status: status}), taken, n/2 + 2, all})
	}
	for _, status := range []int{202, 303, 307, 400, 404} {
		rows = append(rows, row{strconv.Itoa(status), many(1, step{status: status}), refuses(4, status), 1, ""})
	}
	for _, c := range rows {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, &endpoint{script: c.steps}, func(x rig) {
				for i := range 4 {
					x.track(fmt.Sprint("m", i))
				}
				for range 110 { // 55 s; the item telemetry-stats comes after 60
					<-time.After(500 * time.Millisecond)
					synctest.Wait()
					x.counted()
				}
				st, posts, got := x.Stats(), len(x.requests()), strings.Join(x.accepted(), " ")
				if st != c.want || posts != c.posts || got != c.got {
					x.Errorf("%+v, %d requests, accepted %q; want %+v, %d, %q", st, posts, got, c.want, c.posts, c.got)
				}
			})
		})
	}
}

// TestRedirectTargets has the redirects that are followed, with the token, and those that are not.
func TestRedirectTargets(t *testing.T) {
	const (
		west  = "https://westeurope-1.in.applicationinsights.azure.com"
		local = "http://127.0.0.1:1"
	)
	token := func(context.Context) (string, error) { return "secret", nil }
	for i, c := range []struct {
		endpoint, location string
		followed           bool
	}{
		{"https://dc.services.visualstudio.com", west + "/v2.1/track", true},
		{west, "https://eastus-8.in.applicationinsights.azure.com:443/v2.1/track", true},
		{west, "HTTPS://EASTUS-8.in.applicationinsights.AZURE.com/v2.1/track", true},
		{west, "https://usgovvirginia-1.in.applicationinsights.azure.us/v2.1/track", true},
		{west, "https://chinaeast2-0.in.applicationinsights.azure.cn/v2.1/track", true},
		{west, "https://eastus-5.in.ai.privatelink.monitor.azure.com/v2.1/track", true},
		{"https://proxy.example.com", "/v2.1/track", true},
		{"https://proxy.example.com:8443", "https://proxy.example.com:8443/v2.1/track", true},
		{local, "http://127.0.0.1:2/v2.1/track", true},

		{west, "https://evil.example/v2.1/track", false},
		{west, "https://westeurope-1.in.applicationinsights.azure.com.evil.example/v2.1/track", false},
		{west, "https://evilservices.visualstudio.com/v2.1/track", false},
		{west, "https://evil.blob.core.windows.net/v2.1/track", false},
		{west, "http://westeurope-2.in.applicationinsights.azure.com/v2.1/track", false},
		{west, "http://westeurope-1.in.applicationinsights.azure.com/v2.1/track", false},
		{west, "https://westeurope-2.in.applicationinsights.azure.com:8443/v2.1/track", false},
		{west, "https://westeurope-2.in.applicationinsights.azure.com@evil.example/v2.1/track", false},
		{west, "https://user:pass@westeurope-2.in.applicationinsights.azure.com/v2.1/track", false},
		{west, "http://127.0.0.1:80/v2.1/track", false},
		{west, "https://localhost/v2.1/track", false},
		{local, "https://evil.example/v2.1/track", false},
		{west, "ftp://westeurope-2.in.applicationinsights.azure.com/v2.1/track", false},
		{west, "https://%zz/", false},
		{west, "", false},
	} {
		bubble(t, &endpoint{url: c.endpoint, token: token, script: []step{{status: 307 + i%2, location: c.location}}}, func(x rig) {
			x.track("m")
			<-time.After(5 * time.Second)
			from := must.Get[*url.URL](x)(url.Parse(c.endpoint))
			want := []string{from.Host}
			if c.followed {
				want = append(want, must.Get[*url.URL](x)(from.Parse(c.location)).Host)
			}
			var hosts []string
			for _, p := range x.requests() {
				hosts = append(hosts, p.host)
				if p.authorization != "Bearer secret" || p.first != "m" {
					x.Errorf("%s: a request to %s: %+v", c.location, p.host, p)
				}
			}
			if st := x.Stats(); !slices.Equal(hosts, want) || (st.Accepted == 1) != c.followed || (st.Rejected == 1) == c.followed {
				x.Errorf("%s: requests to %q, want %q, %+v", c.location, hosts, want, st)
			}
		})
	}
}

// TestRedirectIsRemembered checks that a redirect is used again until the other host fails.
func TestRedirectIsRemembered(t *testing.T) {
	moved := step{status: 308, location: "https://westeurope-1.in.applicationinsights.azure.com/v2.1/track"}
	script := []step{moved, {}, {}, {}, {status: 503}, moved, {}}
	bubble(t, &endpoint{url: "https://dc.services.visualstudio.com", script: script}, func(x rig) {
		for range 4 {
			x.track("m")
			<-time.After(4 * time.Second)
		}
		var hosts []string
		for _, p := range x.requests() {
			hosts = append(hosts, strings.SplitN(p.host, ".", 2)[0])
		}
		if got := strings.Join(hosts, " "); got != "dc westeurope-1 westeurope-1 westeurope-1 westeurope-1 dc westeurope-1" || x.Stats().Accepted != 4 {
			x.Errorf("requests to %s, %+v", got, x.Stats())
		}
	})
}
