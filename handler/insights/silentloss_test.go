package insights_test

import (
	"math"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/microsoft/ApplicationInsights-Go/appinsights"

	"userrelay/handler/insights"
	"userrelay/test/wait"
)

// TestD10SilentLoss: the SDK cuts runes in two, loses an item for one NaN, drops batches that 401, 403, 502 and 504
// answer, does not know Retry-After in seconds (see TestScripts and TestRetryAfter), and takes a 301 for success.
func TestD10SilentLoss(t *testing.T) {
	t.Run("runes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{}
			s := newSender(t, insights.SenderConfig{Transport: e})
			trackTrace(s, strings.Repeat("a", 32767)+"é")
			<-time.After(2 * time.Second)
			if got := e.messages(t); len(got) != 1 || got[0] != strings.Repeat("a", 32767) || !utf8.ValidString(got[0]) || s.Stats().Cut != 1 {
				t.Errorf("%+v", s.Stats())
			}
		})
	})
	t.Run("NaN", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{}
			s := newSender(t, insights.SenderConfig{Transport: e})
			item := appinsights.NewRemoteDependencyTelemetry("send", "kafka", "b-1", true)
			item.Measurements = map[string]float64{"nan": math.NaN(), "inf": math.Inf(1), "-inf": math.Inf(-1), "two": 2}
			s.Track(item)
			<-time.After(2 * time.Second)
			if got := e.requests(); len(got) != 1 || !strings.Contains(got[0].lines[0], `"measurements":{"two":2}`) {
				t.Errorf("%+v", got)
			}
			if st := s.Stats(); st.Accepted != 1 || st.NotNumbers != 3 {
				t.Errorf("%+v", st)
			}
		})
	})
	for _, status := range []int{401, 403, 502, 504} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSender(t, insights.SenderConfig{Transport: &endpoint{script: many(2, step{status: status})}})
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
			s, _ := serve(t, &endpoint{byDefault: step{status: status, location: elsewhere.URL}}, insights.SenderConfig{})
			trackTrace(s, "m")
			wait.For(t, "an answer", func() bool { return s.Stats().Pending == 0 && s.Stats().Posts > 0 })
			if st := s.Stats(); st.Rejected != 1 || st.Accepted != 0 || len(e.requests()) != 0 {
				t.Errorf("%+v, %d requests elsewhere", st, len(e.requests()))
			}
		})
	}
}
