package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func packed(t *testing.T, s string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestCounts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, body string
		gzip       bool
		status     int // of the count
		items      string
	}{
		{"nothing", " \n", false, 200, "0"},
		{"one item", `{"a":1}`, false, 200, "1"},
		{"lines", "{\"a\":1}\n{\"a\":2}\n", false, 200, "2"},
		{"lines, packed", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}", true, 200, "3"},
		{"an array", `[{"a":1},{"a":2},{"a":3},{"a":4}]`, true, 200, "4"},
		{"half an array", `[{"a":1}`, false, 500, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := new(counter).routes()
			body := io.Reader(strings.NewReader(tc.body))
			if tc.gzip {
				body = packed(t, tc.body)
			}
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v2.1/track", body)
			if tc.gzip {
				req.Header.Set("Content-Encoding", "gzip")
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if w.Code != http.StatusOK {
				t.Errorf("status %d, %s", w.Code, w.Body)
			}
			for range 2 { // what was counted stays counted
				w = httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/items", http.NoBody))
				if got := w.Body.String(); w.Code != tc.status || tc.status == 200 && got != tc.items {
					t.Errorf("status %d, %s items, want %d and %s", w.Code, got, tc.status, tc.items)
				}
			}
		})
	}
}

func TestNotPackedAsItSays(t *testing.T) {
	t.Parallel()
	h := new(counter).routes()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v2.1/track", strings.NewReader("{}"))
	req.Header.Set("Content-Encoding", "gzip")
	h.ServeHTTP(httptest.NewRecorder(), req)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/items", http.NoBody))
	if w.Code != http.StatusInternalServerError {
		t.Errorf("status %d", w.Code)
	}
}
