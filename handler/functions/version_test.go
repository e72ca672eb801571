package functions_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"userrelay/handler/functions"
)

// The version function answers which program runs. It makes no request and reports nothing.
func TestVersion(t *testing.T) {
	t.Parallel()
	for want, build := range map[string]functions.Build{
		`{"commit":"c51b745","sha256":"0a"}`: {Commit: "c51b745", SHA256: "0a"},
		`{"commit":"c51b745+changed"}`:       {Commit: "c51b745+changed"},
		`{}`:                                 {},
	} {
		p := &parts{t: t, check: func(context.Context) error {
			t.Error("Kafka was asked")
			return errors.New("away")
		}}
		h := functions.New(functions.Config{Deliver: p, Kafka: p, Observer: p, Build: func() functions.Build { return build }})
		got := serve(t, h, request(t, http.MethodGet, "/api/Version", nil))
		if got.status != http.StatusOK || got.body != want {
			t.Errorf("answer %d %s, want %s", got.status, got.body, want)
		}
		got.wantHeaders(t, "application/json")
	}
}
