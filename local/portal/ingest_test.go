package portal_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"

	"userrelay/local/portal"
)

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTrack(t *testing.T) {
	t.Parallel()
	one, two := message(0, "op", "one", ""), message(1, "op", "two", "")
	large := message(0, "op", strings.Repeat("x", 64<<10), "")
	for name, c := range map[string]struct {
		path, body string
		gzip       bool
		status     int
		answer     string // part of it
	}{
		"lines":               {"/v2.1/track", one + "\n" + two, false, 200, `{"itemsReceived":2,"itemsAccepted":2,"errors":[]}`},
		"an array":            {"/v2.1/track", "[" + one + "," + two + "]", false, 200, `"itemsAccepted":2`},
		"gzip":                {"/v2.1/track", one + "\n" + two + "\n", true, 200, `"itemsAccepted":2`},
		"the older path":      {"/v2/track", one, false, 200, `"itemsAccepted":1`},
		"nothing":             {"/v2.1/track", "", false, 200, `"itemsReceived":0`},
		"one that is none":    {"/v2.1/track", one + "\n[]\n" + two, false, 206, `"itemsAccepted":2,"errors":[{"index":1,"statusCode":400`},
		"one without a time":  {"/v2.1/track", `{"name":"x"}`, false, 206, `"index":0,"statusCode":400,"message":"not an envelope: name and time`},
		"one that is too big": {"/v2.1/track", large + "\n" + one, false, 206, `"itemsAccepted":1,"errors":[{"index":0,"statusCode":400,"message":"larger`},
		"no JSON":             {"/v2.1/track", one + "\nhello", false, 400, "read the items"},
		"half an array":       {"/v2.1/track", "[" + one, false, 400, "read the array"},
		"more than 16 MiB":    {"/v2.1/track", strings.Repeat(" ", 16<<20+1), false, 400, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, portal.Config{})
			body, headers := c.body, []header{}
			if c.gzip {
				body, headers = zipped(t, body), []header{{"Content-Encoding", "gzip"}}
			}
			res := r.send(t, http.MethodPost, c.path, body, headers...)
			if res.StatusCode != c.status || !strings.Contains(res.body, c.answer) {
				t.Errorf("%d %s; want %d and %s", res.StatusCode, res.body, c.status, c.answer)
			}
		})
	}
}

func TestTrackRefusesWhatIsNotPacked(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	if res := r.send(t, http.MethodPost, "/v2.1/track", "plain", header{"Content-Encoding", "gzip"}); res.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, want 400", res.StatusCode)
	}
}
