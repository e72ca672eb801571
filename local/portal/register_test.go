package portal_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"userrelay/local/portal"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 10)
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- r.URL.Query().Get("code") + " " + string(body)
		if r.URL.Path == "/down" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"offset":1}`)
	}))
	t.Cleanup(function.Close)
	r := start(t, portal.Config{})
	post := func(t *testing.T, body string, status int) answer {
		t.Helper()
		res := r.send(t, http.MethodPost, "/register", body)
		if res.StatusCode != status {
			t.Fatalf("status %d, want %d: %s", res.StatusCode, status, res.body)
		}
		return res
	}
	post(t, "{}", http.StatusNotFound) // no function yet

	r.SetFunction(portal.Function{URL: function.URL + "/ok?code=k", Curl: "curl x"})
	if res := post(t, `{"userId":"auth0|1"}`, http.StatusOK); res.body != `{"userId":"auth0|1","status":200,"answer":{"offset":1}}` {
		t.Errorf("answer %s", res.body)
	}
	if got := <-bodies; got != `k {"userId":"auth0|1"}` {
		t.Errorf("the function got %s", got)
	}
	if res := post(t, "{}", http.StatusOK); !regexp.MustCompile(`^\{"userId":"auth0\|[0-9a-f]{24}","status":200,`).MatchString(res.body) {
		t.Errorf("answer %s", res.body)
	}
	post(t, "", http.StatusBadRequest)

	r.SetFunction(portal.Function{URL: function.URL + "/down"})
	if res := post(t, `{"userId":"u"}`, http.StatusOK); res.body != `{"userId":"u","status":503,"answer":null}` {
		t.Errorf("answer %s", res.body)
	}
	function.Close()
	post(t, "{}", http.StatusBadGateway)
}

func TestState(t *testing.T) {
	t.Parallel()
	type state struct {
		Topic    string   `json:"topic"`
		Brokers  []string `json:"brokers"`
		Broker   *struct{ Running bool }
		Function string `json:"function"`
		Curl     string `json:"curl"`
		Items    int    `json:"items"`
	}
	r := start(t, portal.Config{Broker: &stuck{}, Topic: "t"})
	r.track(t, message(0, "op", "m", ""))
	if got := r.send(t, http.MethodGet, "/state", "").body; got != `{"topic":"t","brokers":[],"broker":{"running":false},"items":1}` {
		t.Errorf("state %s", got)
	}
	others := start(t, portal.Config{})
	others.SetFunction(portal.Function{URL: "http://f", Curl: "curl f"})
	if got := get[state](t, others, "/state"); got.Broker != nil || got.Function != "http://f" || got.Curl != "curl f" {
		t.Errorf("state %+v", got)
	}
}
