package registration_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/handler/registration"
	"userrelay/test/must"
)

// TestDeriveIDTable compares derived ids with the table that the Action and the backfill also use.
func TestDeriveIDTable(t *testing.T) {
	t.Parallel()
	text := must.Get[[]byte](t)(os.ReadFile(filepath.Join("..", "..", "auth0", "testdata", "ids.json")))
	var rows []struct{ Name, Tenant, UserID, CreatedAt, EventID string }
	if err := json.Unmarshal(text, &rows, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		t.Error("the table is empty")
	}
	for _, row := range rows {
		if got := registration.DeriveID(row.Tenant, row.UserID, row.CreatedAt); got != row.EventID {
			t.Errorf("%s: got %s, want %s", row.Name, got, row.EventID)
		}
	}
}

// FuzzDeriveID checks that every spelling of a time gives the same id as the canonical one, and that no text causes a
// panic.
func FuzzDeriveID(f *testing.F) {
	for _, s := range []string{"", "2026-11-21T19:00:00.123Z", "2026-11-21T20:00:00+01:00", "2026-11-21T9:00:00Z", "2026-11-21T19:00:00,1Z", "2026-11-21T19:00:00+24:60"} {
		f.Add(s, int64(1795287600123))
	}
	f.Fuzz(func(t *testing.T, text string, ms int64) {
		registration.DeriveID("acme", "auth0|1", text)
		at := time.UnixMilli(ms).UTC()
		if at.Year() < 1 || at.Year() > 9998 {
			return
		}
		want := registration.DeriveID("acme", "auth0|1", at.Format("2006-01-02T15:04:05.000Z"))
		for _, spelt := range []string{
			at.Format(time.RFC3339Nano), at.Format("2006-01-02T15:04:05.000000-07:00"),
			at.In(time.FixedZone("", -11*3600-30*60)).Format(time.RFC3339Nano),
			at.Add(999 * time.Microsecond).In(time.FixedZone("", 13*3600)).Format(time.RFC3339Nano),
		} {
			if got := registration.DeriveID("acme", "auth0|1", spelt); got != want {
				t.Errorf("%s: got %s, want %s", spelt, got, want)
			}
		}
	})
}
