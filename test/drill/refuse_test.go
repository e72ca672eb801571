package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A message can be deleted only after a client has received it through the proxy. All other requests pass.
func TestRefusing(t *testing.T) {
	t.Parallel()
	var passed []string
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed = append(passed, r.Method+" "+r.URL.Path)
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `<QueueMessagesList><QueueMessage><MessageId>m-1</MessageId></QueueMessage></QueueMessagesList>`)
		}
	}))
	defer service.Close()
	addr := strings.TrimPrefix(service.URL, "http://")
	p, err := startRefusing(t.Context(), addr, "QueueEndpoint="+service.URL+"/account;")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}()
	base := strings.TrimSuffix(strings.TrimPrefix(p.storage, "QueueEndpoint="), ";")
	if base == service.URL+"/account" {
		t.Fatalf("the connection string leads past the proxy: %s", p.storage)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	do := func(method, path string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for _, step := range []struct {
		method, path string
		want         int
	}{
		{http.MethodPost, "/q/messages", http.StatusOK},
		{http.MethodDelete, "/q/messages/m-1", http.StatusNotFound},
		{http.MethodGet, "/q/messages", http.StatusOK},
		{http.MethodDelete, "/q/messages/m-2", http.StatusNotFound},
		{http.MethodDelete, "/q/messages/m-1", http.StatusOK},
	} {
		if got := do(step.method, step.path); got != step.want {
			t.Errorf("%s %s: %d, want %d", step.method, step.path, got, step.want)
		}
	}
	if got := strings.Join(passed, ", "); got != "POST /account/q/messages, GET /account/q/messages, DELETE /account/q/messages/m-1" {
		t.Errorf("the service saw %s", got)
	}
	if p.count() != 2 {
		t.Errorf("refused %d", p.count())
	}
}
