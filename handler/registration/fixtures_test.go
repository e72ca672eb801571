package registration_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
	"userrelay/test/must"
)

var update = flag.Bool("update", false, "write testdata/records anew") //nolint:gochecknoglobals // as flags of tests are

// golden is the result of a request: two records, or the reason for none.
type golden struct {
	ID      *goldenRecord `json:"id,omitzero"`      // RECORD_PROFILE=id
	Full    *goldenRecord `json:"full,omitzero"`    // RECORD_PROFILE=full
	Ignored string        `json:"ignored,omitzero"` // "id type"
	Invalid string        `json:"invalid,omitzero"`
}

type goldenRecord struct {
	Key     string   `json:"key"`
	Value   string   `json:"value"`
	Headers []string `json:"headers"` // "key: value"
}

func goldenOf(body []byte) golden {
	var g golden
	for profile, to := range map[bool]**goldenRecord{false: &g.ID, true: &g.Full} {
		e, err := registration.Decoder{Profile: profile}.Decode(text(string(body)), "", received())
		if ignored, ok := errors.AsType[*registration.IgnoredError](err); ok {
			return golden{Ignored: ignored.ID + " " + ignored.Type}
		}
		if err != nil {
			return golden{Invalid: err.Error()}
		}
		r := e.Record(registration.Header{Key: "traceparent", Value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
		*to = &goldenRecord{Key: string(r.Key), Value: string(r.Value)}
		for _, h := range r.Headers {
			(*to).Headers = append((*to).Headers, h.Key+": "+h.Value)
		}
	}
	return g
}

// TestFixtures compares the records for real requests of Auth0 and its users, byte for byte. Consumers notice every
// change of one of them.
func TestFixtures(t *testing.T) {
	t.Parallel()
	for _, path := range requests(t) {
		body := must.Get[[]byte](t)(os.ReadFile(path))
		got := append(must.Get[[]byte](t)(json.Marshal(goldenOf(body), jsontext.WithIndent("  "))), '\n')
		file := filepath.Join("testdata", "records", filepath.Base(path))
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want := must.Get[[]byte](t)(os.ReadFile(file)) // -update makes it
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func requests(tb testing.TB) []string {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "requests", "*.json"))
	if err != nil || len(paths) < 11 {
		tb.Fatalf("%d requests in testdata, error %v", len(paths), err)
	}
	return paths
}
