package funchost

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// FuzzQueueInvocation checks that for any message the handler gets JSON from which it can read the message.
func FuzzQueueInvocation(f *testing.F) {
	for _, seed := range []string{"", "plain", `{"id":"1"}`, `{"a":{"b":[1]},"A":2,"sys":null}`, `{"a":1,"a":2}`, "\xff", `{"t":"2026-01-02T03:04:05+02:00"}`, "{\"\xff\":1}", `{"\ud800":"\ud800"}`} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, binary bool) {
		payload, err := newQueueInvocation(queueFunction{name: "Drain", binding: "job", binary: binary}, message{id: "i", receipt: "r"}, body, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Data     map[string]string
			Metadata map[string]any
		}
		if err := json.Unmarshal(payload, &got); err != nil {
			t.Fatalf("%v: %s", err, payload)
		}
		if binary {
			if data, err := base64.StdEncoding.DecodeString(got.Data["job"]); err != nil || string(data) != string(body) {
				t.Errorf("got %q, %v", data, err)
			}
			return
		}
		var text string
		if err := json.Unmarshal([]byte(got.Data["job"]), &text); err != nil {
			t.Fatal(err)
		}
		if utf8.Valid(body) && text != string(body) {
			t.Errorf("got %q", text)
		}
	})
}

// FuzzResult checks that no answer of a handler breaks the host.
func FuzzResult(f *testing.F) {
	for _, seed := range []string{"", "{}", "null", "[]", `{"Logs":["x"]}`, `{"Outputs":1}`, "{", "{}{", `{"logs":null,"Logs":[{}]}`, "\xff", `{"a":"\ud800"}`} {
		f.Add([]byte(seed), "application/json")
	}
	f.Fuzz(func(t *testing.T, body []byte, kind string) {
		resp := &http.Response{Header: http.Header{"Content-Type": {kind}}, ContentLength: int64(len(body))}
		_, err := readResult(resp, body)
		if object := strings.HasPrefix(strings.TrimSpace(string(body)), "{"); err == nil && !object {
			t.Errorf("%q passes", body)
		}
	})
}
