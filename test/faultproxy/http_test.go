package faultproxy_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"userrelay/test/faultproxy"
	"userrelay/test/wait"
)

func TestHTTP(t *testing.T) {
	tests := []struct {
		name    string
		faults  faultproxy.Faults
		limit   time.Duration // 0: wait.Patience
		fails   bool          // the second request
		heard   int64         // requests that the server handled at the end
		atLeast time.Duration
	}{
		{name: "forward", heard: 2},
		{name: "delay", faults: faultproxy.Faults{Delay: 50 * time.Millisecond}, heard: 2, atLeast: 50 * time.Millisecond},
		{name: "cut before", faults: cutSecond(faultproxy.CutBefore), fails: true, heard: 1},
		{name: "cut on answer", faults: cutSecond(faultproxy.CutOnAnswer), fails: true, heard: 2},
		{name: "black hole", faults: faultproxy.Faults{BlackHole: true}, limit: 200 * time.Millisecond, fails: true, heard: 1},
		{name: "silence", faults: cutSecond(faultproxy.Silence), limit: 200 * time.Millisecond, fails: true, heard: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var heard atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					heard.Add(1)
				}
				_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
			}))
			defer srv.Close()
			p := faultproxy.ForTest(t, faultproxy.Options{
				Target: strings.TrimPrefix(srv.URL, "http://"), Framing: faultproxy.Bytes,
			})
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			if err := post(t, tr, p.Addr(), wait.Patience); err != nil {
				t.Fatal(err)
			}
			set(t, p, tt.faults)
			start := time.Now()
			if err := post(t, tr, p.Addr(), cmp.Or(tt.limit, wait.Patience)); (err != nil) != tt.fails {
				t.Errorf("second request: got error %v", err)
			}
			if took := time.Since(start); took < tt.atLeast {
				t.Errorf("took %v, want %v at least", took, tt.atLeast)
			}
			if got := heard.Load(); got != tt.heard {
				t.Errorf("the server handled %d requests, want %d", got, tt.heard)
			}
		})
	}
}

// cutSecond acts on the next request: the first one of the test comes before the rule is set.
func cutSecond(do faultproxy.Action) faultproxy.Faults {
	return faultproxy.Faults{Rules: []faultproxy.Rule{{Nth: 1, Do: []faultproxy.Action{do}}}}
}

// post sends a body of several pieces, which http.Transport does not send again on its own, and reads the answer.
func post(t *testing.T, tr *http.Transport, addr string, limit time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	body := io.MultiReader(strings.NewReader(strings.Repeat("y", 100_000)))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}
