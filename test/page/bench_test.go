package page

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/local/portal"
	"userrelay/test/must"
)

const many = 5000 // registrations

// BenchmarkPage measures the page with 5,000 registrations in Chromium: a key that moves in the list, and a search,
// from the event to the next frame.
//
//	go test -run '^$' -bench . ./test/page
func BenchmarkPage(b *testing.B) {
	with := find(b)
	p := must.Get[*portal.Portal](b)(portal.Start(b.Context(), portal.Config{}))
	defer p.Close()
	server := httptest.NewServer(p.Handler())
	defer server.Close()
	fill(b, server.URL)
	text := must.Get[[]byte](b)(json.Marshal(map[string]any{"page": server.URL, "chromium": with.chromium, "rows": many, "times": 100}))
	for b.Loop() {
		out := must.Get[[]byte](b)(exec.CommandContext(b.Context(), with.node, "bench.mjs", string(text)).Output())
		var took map[string]float64 // ms
		if err := json.Unmarshal(out, &took); err != nil {
			b.Fatal(err)
		}
		for name, ms := range took {
			b.ReportMetric(ms, name+"-ms")
		}
	}
}

// fill sends the telemetry of the registrations.
func fill(b *testing.B, url string) {
	b.Helper()
	now := time.Now()
	var body bytes.Buffer
	for i := range many {
		at := now.Add(-time.Duration(i) * time.Second)
		for j, event := range []string{"received", "forwarded"} {
			_, _ = fmt.Fprintf(&body, `{"name":"Message","time":%q,"tags":{"ai.operation.id":"%032x"},"data":{"baseType":"MessageData","baseData":{"message":"m","severityLevel":1,`+
				`"properties":{"event":%q,"userId":"auth0|%024x","eventId":"a0pur_%032x","InvocationId":"i-%d","topic":"user-events","partition":"1","offset":"%d"}}}}`+"\n",
				at.Add(time.Duration(j)*time.Millisecond).Format(time.RFC3339Nano), i, event, i*7919, i, i, i)
		}
	}
	req := must.Get[*http.Request](b)(http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/v2.1/track", &body))
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		b.Fatal(res.Status, err)
	}
}
