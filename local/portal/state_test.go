package portal_test

import (
	"net/http"
	"testing"

	"userrelay/local/portal"
)

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
