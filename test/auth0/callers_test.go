package auth0

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"userrelay/local/realkafka"
	"userrelay/test/must"
)

// checkArticles runs Actions from articles with only the address changed. It compares their requests, byte for byte
// except the address and the profile, with recorded ones, which other tests of the handler use (docs/forms.md).
func (s *stack) checkArticles(t *testing.T) {
	t.Helper()
	requests := make(chan string, 1)
	function := must.Get[*neturl.URL](t)(neturl.Parse(s.URL + "?code=" + s.Key))
	proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.Out.URL, p.Out.Host = function, function.Host }}
	recording := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- asSent(t, r)
		proxy.ServeHTTP(w, r)
	}))
	defer recording.Close()
	address := recording.URL + "/api/RegisterUser?code=KEY"
	withAddress := map[string]any{"FUNCTION_URL": address}
	for _, c := range []struct {
		name, module string // module: that it requires, "" none
		secrets      map[string]any
		profile      bool // it sends the profile
	}{
		{"axios", "axios", withAddress, false},
		{"profile", "", withAddress, true},
		// The text that the Action appends to the address becomes a fragment, which no client sends.
		{"kafka-rest", "node-fetch", map[string]any{"ADDRESS": address + "#", "USER": "user", "PASSWORD": "secret", "TOPIC": topic}, true},
	} {
		if c.module != "" {
			module(t, ".", c.module+"/package.json")
		}
		// As text, because the order of a map's members varies.
		user := jsontext.Value(`{"user_id":"auth0|61de2511fd334200aq221d","email":"","tenant":"test","email_verified":false,"app_metadata":{}}`)
		var said struct {
			Status int            `json:"status"`
			Data   map[string]any `json:"data"`
		}
		line := runAction(t, filepath.Join("callers", c.name+".js"), map[string]any{"user": user}, c.secrets)
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			t.Fatalf("%s: %v, %s", c.name, err, line)
		}
		file, got := filepath.Join("callers", c.name+".http"), <-requests
		if *update {
			write(t, file, []byte(got))
		}
		if diff := cmp.Diff(string(read(t, file)), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
		place := fmt.Sprint(said.Data["partition"], "@", said.Data["offset"])
		records := slices.DeleteFunc(s.records(t, "auth0|61de2511fd334200aq221d"), func(r realkafka.Record) bool {
			return fmt.Sprint(r.Partition, "@", r.Offset) != place
		})
		if said.Status != http.StatusOK || said.Data["topic"] != topic || said.Data["timestamp"] == nil || len(records) != 1 {
			t.Errorf("%s: got %+v, and %d records in this place", c.name, said, len(records))
		} else if hasProfile := bytes.Contains(records[0].Value, []byte("app_metadata")); hasProfile != c.profile {
			t.Errorf("%s: got value %s", c.name, records[0].Value)
		}
	}
}

// asSent is a request as text, headers in the order of their names, without those of the connection.
func asSent(t *testing.T, r *http.Request) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	var header strings.Builder
	if err = errors.Join(err, r.Header.WriteSubset(&header, map[string]bool{"Connection": true})); err != nil {
		t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return fmt.Sprintf("%s %s %s\n%s\n%s\n", r.Method, r.URL.RequestURI(), r.Proto, strings.ReplaceAll(header.String(), "\r", ""), body)
}
