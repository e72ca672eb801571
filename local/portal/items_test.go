package portal_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/local/portal"
)

func messages(items []portal.Item) []string {
	all := []string{}
	for _, i := range items {
		all = append(all, i.Message)
	}
	return all
}

func TestSearch(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	r.track(t,
		message(2*time.Second, "op1", "later", `"userId":"auth0|a&b","eventId":"e1","InvocationId":"i1"`),
		message(1*time.Second, "op1", "first", `"userId":"auth0|a&b","eventId":"e2","InvocationId":"i2"`),
		message(3*time.Second, "op2", "last", `"userId":"auth0|a&b-longer"`),
		`{"name":"n","time":"2026-11-24T12:00:04Z","data":{"baseType":"MessageData","baseData":{"message":"escaped \u003cb\u003e"}}}`,
	)
	for name, c := range map[string]struct {
		query string
		want  []string
	}{
		"all, the oldest first":        {"", []string{"first", "later", "last", "escaped <b>"}},
		"a user id, and no longer one": {"userId=auth0%7Ca%26b", []string{"first", "later"}},
		"an event id":                  {"eventId=e2", []string{"first"}},
		"an invocation id":             {"invocationId=i1", []string{"later"}},
		"an operation":                 {"operation=op2", []string{"last"}},
		"two of them":                  {"operation=op1&eventId=e1", []string{"later"}},
		"text, in any value":           {"text=A%26B-", []string{"last"}},
		"text, as it reads":            {"text=%3CB%3E", []string{"escaped <b>"}},
		"text, in the JSON":            {"text=%22eventId%22:%22e1%22", []string{"later"}},
		"what nothing has":             {"text=nothing", []string{}},
		"the newest":                   {"newest=2", []string{"escaped <b>", "last"}},
		"the newest of some":           {"newest=10&operation=op1", []string{"later", "first"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := messages(get[[]portal.Item](t, r, "/items?"+c.query))
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
	for _, newest := range []string{"0", "-1", "x"} {
		if res := r.send(t, http.MethodGet, "/items?newest="+newest, ""); res.StatusCode != http.StatusBadRequest {
			t.Errorf("newest=%s: status %d, want 400", newest, res.StatusCode)
		}
	}
}

func TestItemsOfEveryKind(t *testing.T) {
	t.Parallel()
	yes, ms := true, func(f float64) *float64 { return &f }
	for name, c := range map[string]struct {
		base, data string
		want       portal.Item
	}{
		"trace": {"MessageData", `"message":"m","severityLevel":3`, portal.Item{Kind: "trace", Message: "m", Severity: "Error"}},
		"severity by name": {
			"MessageData", `"message":"m","severityLevel":"Warning"`,
			portal.Item{Kind: "trace", Message: "m", Severity: "Warning"},
		},
		"severity of no name": {"MessageData", `"message":"m","severityLevel":9`, portal.Item{Kind: "trace", Message: "m"}},
		"dependency": {
			"RemoteDependencyData",
			`"name":"send t","id":"ab","resultCode":"0","duration":"0.00:00:00.0026190","success":true,"target":"h/t","type":"Queue Message | kafka"`,
			portal.Item{
				Kind: "dependency", Message: "send t", ID: "ab", ResultCode: "0", DurationMs: ms(2.619), Success: &yes,
				Target: "h/t", Type: "Queue Message | kafka",
			},
		},
		"request": {
			"RequestData", `"name":"RegisterUser","id":"ab","responseCode":"202","duration":"1.02:03:04.5","success":true`,
			portal.Item{Kind: "request", Message: "RegisterUser", ID: "ab", ResultCode: "202", DurationMs: ms(93784500), Success: &yes},
		},
		"duration without days": {"RequestData", `"duration":"00:00:01.5"`, portal.Item{Kind: "request", DurationMs: ms(1500)}},
		"duration that is none": {"RequestData", `"duration":"soon"`, portal.Item{Kind: "request"}},
		"exception": {
			"ExceptionData", `"exceptions":[{"typeName":"T","message":"boom"}],"severityLevel":4`,
			portal.Item{Kind: "exception", Message: "boom", Type: "T", Severity: "Critical"},
		},
		"event":          {"EventData", `"name":"e"`, portal.Item{Kind: "event", Message: "e"}},
		"another":        {"PageViewData", `"name":"p"`, portal.Item{Kind: "PageViewData", Message: "p"}},
		"null for empty": {"MessageData", `"message":"m","properties":null`, portal.Item{Kind: "trace", Message: "m"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, portal.Config{})
			r.track(t, envelope(0, "op", c.base, c.data))
			got := get[[]portal.Item](t, r, "/items")[0]
			if len(got.Raw) == 0 || got.Number != 1 || got.Tags["ai.operation.id"] != "op" {
				t.Errorf("raw %d bytes, number %d, tags %v", len(got.Raw), got.Number, got.Tags)
			}
			c.want.Name, c.want.Time, c.want.Tags, c.want.Properties, c.want.Raw, c.want.Number = got.Name, got.Time, got.Tags, got.Properties, got.Raw, 1
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(portal.Item{})); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestTheNewestItemsAreKept(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	for batch := range 21 {
		lines := make([]string, 1000)
		for i := range lines {
			lines[i] = message(0, "op", "m", fmt.Sprintf(`"userId":"%d"`, batch*1000+i))
		}
		r.track(t, lines...)
	}
	for user, want := range map[string]int{"0": 0, "999": 0, "1000": 1, "20999": 1} {
		if got := len(get[[]portal.Item](t, r, "/items?userId="+user)); got != want {
			t.Errorf("user %s: %d items, want %d", user, got, want)
		}
	}
}
