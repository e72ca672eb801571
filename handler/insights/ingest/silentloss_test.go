package ingest_test

import (
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"userrelay/handler/insights/ingest"
	"userrelay/test/wait"
)

// TestD10SilentLoss: the SDK cuts runes in two, loses an item for one NaN (no item here has measurements), drops batches that 401, 403, 502 and 504
// answer, does not know Retry-After in seconds (see TestScripts and TestRetryAfter), and takes a 301 for success.
func TestD10SilentLoss(t *testing.T) {
	t.Run("runes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{}
			s := newSender(t, ingest.Config{Transport: e})
			trackTrace(s, strings.Repeat("a", 32767)+"é")
			<-time.After(2 * time.Second)
			if got := e.messages(t); len(got) != 1 || got[0] != strings.Repeat("a", 32767) || !utf8.ValidString(got[0]) {
				t.Errorf("%+v", s.Stats())
			}
		})
	})
	for _, status := range []int{401, 403, 502, 504} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSender(t, ingest.Config{Transport: &endpoint{script: many(2, step{status: status})}})
				trackTrace(s, "m")
				<-time.After(10 * time.Second)
				if st := s.Stats(); st.Accepted != 1 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
	for _, status := range []int{301, 302, 303} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			e := &endpoint{}
			elsewhere := httptest.NewServer(e)
			defer elsewhere.Close()
			s, _ := serve(t, &endpoint{byDefault: step{status: status, location: elsewhere.URL}}, ingest.Config{})
			trackTrace(s, "m")
			wait.For(t, "an answer", func() bool { return s.Stats().Pending == 0 && s.Stats().Tracked > 0 })
			if st := s.Stats(); st.Rejected != 1 || st.Accepted != 0 || len(e.requests()) != 0 {
				t.Errorf("%+v, %d requests elsewhere", st, len(e.requests()))
			}
		})
	}
}
