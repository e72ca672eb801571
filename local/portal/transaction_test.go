package portal_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/local/portal"
)

// place returns the properties of an item about a record.
func place(partition, offset int) string {
	return fmt.Sprintf(`"topic":"t","partition":"%d","offset":"%d"`, partition, offset)
}

func TestTransactionIsInOrder(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	r.track(t, // in a possible order of arrival
		message(5*time.Millisecond, "op", "Forwarded to t[1]@7", `"event":"forwarded","userId":"u",`+place(1, 7)),
		message(0, "other", "Received", `"event":"received","userId":"v"`),
		envelope(300*time.Microsecond, "op", "RemoteDependencyData",
			`"name":"send t","duration":"0.00:00:00.0100000","success":true,"properties":{`+place(1, 7)+`}`),
		message(0, "op", "Received", `"event":"received","userId":"u"`),
	)
	got := get[portal.Transaction](t, r, "/transaction?operation=op")
	type step struct {
		Message string
		Offset  float64
	}
	steps := []step{}
	for _, s := range got.Steps {
		steps = append(steps, step{s.Message, s.OffsetMs})
	}
	if d := cmp.Diff([]step{{"Received", 0}, {"send t", 0.3}, {"Forwarded to t[1]@7", 5}}, steps); d != "" {
		t.Errorf("steps (-want +got)\n%s", d)
	}
	got.Steps = nil
	want := portal.Transaction{
		Operation: "op", Start: "2026-11-24T12:00:00Z", UserID: "u", Outcome: "forwarded", TookMs: 10.3,
		Records: []portal.Place{{Topic: "t", Partition: 1, Offset: 7}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestTransactionThatWasRefused(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	r.track(t,
		message(0, "op", "Received", `"event":"received","userId":"u"`),
		message(2*time.Second, "op", "Not stored", `"event":"refused","userId":"u","errorClass":"unavailable"`),
		message(3*time.Second, "op", "of no event", ``),
	)
	got := get[portal.Transaction](t, r, "/transaction?operation=op")
	if got.Outcome != "refused" || got.ErrorClass != "unavailable" || len(got.Records) != 0 {
		t.Errorf("outcome %q, class %q, records %v", got.Outcome, got.ErrorClass, got.Records)
	}
}

func TestTransactionIsBounded(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	for i := range 300 {
		r.track(t, message(time.Duration(i)*time.Second, "op", strconv.Itoa(i), place(0, i)))
	}
	if got := get[portal.Transaction](t, r, "/transaction?operation=op"); len(got.Steps) != 200 || got.Steps[0].Message != "0" || len(got.Records) != 10 {
		t.Errorf("%d steps from %q, %d records; want 200 from 0, and 10", len(got.Steps), got.Steps[0].Message, len(got.Records))
	}
}

func TestTransactionThatIsNotThere(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	r.track(t, `{"name":"n","time":"2026-11-24T12:00:04Z"}`) // of no operation
	for _, path := range []string{"/transaction?operation=op", "/transaction?operation=", "/transaction"} {
		if res := r.send(t, http.MethodGet, path, ""); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, res.StatusCode)
		}
	}
}
