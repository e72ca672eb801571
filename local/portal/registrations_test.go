package portal_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/local/portal"
	"userrelay/test/wait"
)

// registrationList is the answer of /registrations.
type registrationList struct {
	Run           string                `json:"run"`
	Newest        int64                 `json:"newest"`
	Gone          int                   `json:"gone"`
	Kept          int                   `json:"kept"`
	Registrations []portal.Registration `json:"registrations"`
}

// told returns an item of the handler about user u and event e in the invocation i.
func told(second int, event, more string) string {
	return message(time.Duration(second)*time.Second, "op", event, fmt.Sprintf(`"event":%q,"userId":"u","eventId":"e","InvocationId":"i"%s`, event, more))
}

func hostRow(status int) string {
	return envelope(0, "op", "RequestData", fmt.Sprintf(`"name":"RegisterUser","id":"s","responseCode":"%d","duration":"0.00:00:00.0050000","success":true,"properties":{"InvocationId":"i"}`, status))
}

func exchange(status int, answer string) portal.Exchange {
	return portal.Exchange{
		TookMs: 7, Method: http.MethodPost, Path: "/api/RegisterUser", Body: "{}", BodyBytes: 2, Status: status, Answer: answer, Invocation: "i", Operation: "op",
	}
}

func TestOneRowForEachRegistration(t *testing.T) {
	t.Parallel()
	received, forwarded := told(0, "received", ""), told(1, "forwarded", ","+place(1, 7))
	outboxed, drained := told(1, "outboxed", `,"errorClass":"unavailable"`), told(9, "drained", `,"queuedMs":"8000",`+place(1, 7))
	send := envelope(time.Second, "op", "RemoteDependencyData", `"name":"send t","properties":{"userId":"u","eventId":"e","InvocationId":"i"}`)
	at := portal.Place{Topic: "t", Partition: 1, Offset: 7}
	ms := func(f float64) *float64 { return &f }
	row := func(outcome string, change func(*portal.Registration)) portal.Registration {
		r := portal.Registration{Key: "op", Time: "2026-11-24T12:00:00Z", UserID: "u", EventID: "e", Operation: "op", Outcome: outcome}
		change(&r)
		return r
	}
	storedRow := row("stored", func(r *portal.Registration) { r.Place, r.TookMs, r.Status = &at, ms(5), 200 })
	for name, c := range map[string]struct {
		items []string
		saw   *portal.Exchange
		want  portal.Registration
	}{
		"received":                    {[]string{received}, nil, row("under-way", func(*portal.Registration) {})},
		"stored":                      {[]string{received, send, forwarded, hostRow(200)}, nil, storedRow},
		"the host's row first":        {[]string{hostRow(200), received, forwarded}, nil, storedRow},
		"in another order":            {[]string{forwarded, send, hostRow(200), received}, nil, storedRow},
		"before the host's row comes": {[]string{received, forwarded}, nil, row("stored", func(r *portal.Registration) { r.Place, r.TookMs = &at, ms(1000) })},
		"waiting": {[]string{received, outboxed, hostRow(202)}, nil, row("waiting", func(r *portal.Registration) {
			r.ErrorClass, r.Status, r.TookMs = "unavailable", 202, ms(5)
		})},
		"drained": {[]string{received, outboxed, hostRow(202), drained}, nil, row("stored", func(r *portal.Registration) {
			r.Place, r.Status, r.TookMs, r.QueuedMs = &at, 202, ms(5), ms(8000)
		})},
		"an older item comes later": {[]string{drained, outboxed, received}, nil, row("stored", func(r *portal.Registration) {
			r.Place, r.QueuedMs = &at, ms(8000)
		})},
		"stored, and nothing else is known": {[]string{forwarded}, nil, row("stored", func(r *portal.Registration) {
			r.Place, r.Time = &at, "2026-11-24T12:00:01Z"
		})},
		"poisoned": {[]string{received, outboxed, told(9, "poisoned", `,"errorClass":"invalid"`)}, nil, row("poisoned", func(r *portal.Registration) {
			r.ErrorClass, r.TookMs = "invalid", ms(1000)
		})},
		"refused by the handler": {[]string{received, told(1, "refused", `,"errorClass":"unavailable"`), hostRow(503)}, nil, row("refused", func(r *portal.Registration) {
			r.ErrorClass, r.Status, r.TookMs = "unavailable", 503, ms(5)
		})},
		"refused, and stored all the same": {[]string{received, told(1, "refused", ""), hostRow(503), told(3, "forwarded", ","+place(1, 7))}, nil, row("stored", func(r *portal.Registration) {
			r.Status, r.TookMs, r.Place = 503, ms(5), &at
		})},
		"a body that is none, under a real host": {[]string{hostRow(400)}, nil, portal.Registration{
			Key: "op", Time: "2026-11-24T12:00:00Z", Operation: "op", Outcome: "refused", Status: 400, TookMs: ms(5),
		}},
		"a repeat": {[]string{received, hostRow(200)}, &portal.Exchange{
			TookMs: 7, Method: "POST", Path: "/p", Status: 200, Answer: "{}", Replayed: true, Invocation: "i", Operation: "op",
		}, row("repeated", func(r *portal.Registration) { r.Status, r.TookMs, r.Request = 200, ms(7), "POST /p" })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, portal.Config{})
			r.track(t, c.items...)
			if c.saw != nil {
				r.Saw(*c.saw, noon())
			}
			list := get[registrationList](t, r, "/registrations")
			if len(list.Registrations) != 1 || list.Kept != 1 {
				t.Fatalf("%d rows: %+v", len(list.Registrations), list.Registrations)
			}
			got := list.Registrations[0]
			if got.Number == 0 || got.Number != list.Newest {
				t.Errorf("number %d of %d", got.Number, list.Newest)
			}
			got.Number = 0
			if d := cmp.Diff(c.want, got, ignoreUnexported()); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if more := get[registrationList](t, r, fmt.Sprint("/registrations?after=", list.Newest)); len(more.Registrations) != 0 || more.Run != list.Run {
				t.Errorf("nothing has changed, and there is %+v", more)
			}
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	r.Saw(exchange(400, `{"type":"x","detail":"userId: is missing."}`), noon())
	r.track(t, hostRow(400)) // the same request
	none := exchange(401, "")
	none.Invocation, none.Operation = "", ""
	r.Saw(none, noon())
	r.Saw(none, noon())
	r.Saw(exchange(200, `{"eventId":"e"}`), noon()) // telemetry tells of it
	other := exchange(200, `{"ignored":"user.updated","eventId":"e"}`)
	other.Invocation, other.Operation = "i2", "op2"
	r.Saw(other, noon())
	list := get[registrationList](t, r, "/registrations").Registrations
	if len(list) != 4 || list[0].Detail != "userId: is missing." || list[0].Request != "POST /api/RegisterUser" || list[1].Key == list[2].Key || list[3].Outcome != "ignored" {
		t.Fatalf("%+v", list)
	}
	detail := get[struct {
		Exchange *portal.Exchange `json:"exchange"`
		Steps    []portal.Step    `json:"steps"`
	}](t, r, "/registration?key=op")
	if detail.Exchange == nil || detail.Exchange.Body != "{}" || detail.Exchange.Answer == "" || len(detail.Steps) != 1 {
		t.Errorf("%+v", detail)
	}
	for path, want := range map[string]int{"/registration?key=nobody": 404, "/registration": 404, "/registrations?after=x": 400, "/registrations?after=-1": 400} {
		if res := r.send(t, http.MethodGet, path, ""); res.StatusCode != want {
			t.Errorf("%s: status %d, want %d", path, res.StatusCode, want)
		}
	}
}

// Several registrations in one operation have separate rows with their own steps.
func TestSeveralUnderOneOperation(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	for _, user := range []string{"a", "b"} {
		r.track(t, message(0, "op", "Received "+user, fmt.Sprintf(`"event":"received","userId":%q,"eventId":"e-%s","InvocationId":"i-%s"`, user, user, user)))
	}
	list := get[registrationList](t, r, "/registrations").Registrations
	if len(list) != 2 || list[0].Key != "op" {
		t.Fatalf("%+v", list)
	}
	for key, want := range map[string]string{"op": "Received a", list[1].Key: "Received b"} {
		got := get[struct {
			Steps []portal.Step `json:"steps"`
		}](t, r, "/registration?key="+key)
		if len(got.Steps) != 1 || got.Steps[0].Message != want {
			t.Errorf("%s: %+v", key, got.Steps)
		}
	}
}

func TestRegistrationsAreBounded(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	for batch := range 11 {
		lines := make([]string, 1000)
		for i := range lines {
			id := strconv.Itoa(batch*1000 + i)
			lines[i] = message(0, "op-"+id, "m", fmt.Sprintf(`"event":"received","userId":%q,"eventId":%q`, id, id))
		}
		r.track(t, lines...)
	}
	list := get[registrationList](t, r, "/registrations")
	if list.Kept != 10_000 || len(list.Registrations) != 10_000 || list.Gone != 1000 || list.Registrations[0].UserID != "1000" {
		t.Errorf("kept %d, %d, gone %d, from %s", list.Kept, len(list.Registrations), list.Gone, list.Registrations[0].UserID)
	}
}

// Registrations of earlier runs are read from the topic and the queues.
func TestRegistrationsWithoutTelemetry(t *testing.T) {
	t.Parallel()
	b, _ := kafka(t)
	queues := &boxes{}
	queues.set(look(1, encoded(event("w", 1))), look(1, encoded(`{"reason":"r","message":"`+encoded(event("p", 2))+`","poisonedtime":"2026-11-24T12:00:02Z"}`)), nil)
	old := record(1, "auth0|1")
	old.Headers = []kgo.RecordHeader{{Key: "ce_id", Value: []byte("e1")}, {Key: "traceparent", Value: []byte("00-op1-b7ad6b7169203331-00")}}
	produce(t, b, old, record(2, "of another program"))
	r := start(t, portal.Config{Brokers: []string{b.Address()}, Topic: topic, Outbox: queues})
	type known struct{ User, Event, Outcome, From string }
	want := map[known]bool{{"auth0|1", "e1", "stored", "topic"}: true, {"auth0|w", "w", "waiting", "outbox"}: true, {"auth0|p", "p", "poisoned", "outbox"}: true}
	wait.For(t, "what lies there", func() bool {
		got := map[known]bool{}
		for _, r := range get[registrationList](t, r, "/registrations").Registrations {
			got[known{r.UserID, r.EventID, r.Outcome, r.From}] = true
		}
		return cmp.Equal(want, got)
	})
	// Late telemetry belongs to the same registrations.
	r.track(t, message(0, "op1", "Received", `"event":"received","userId":"auth0|1","eventId":"e1"`))
	if list := get[registrationList](t, r, "/registrations"); list.Kept != 3 {
		t.Errorf("%d rows, want 3", list.Kept)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	metric := func(name string, value int) string {
		return envelope(time.Duration(value)*time.Second, "", "MetricData", fmt.Sprintf(`"metrics":[{"name":%q,"value":%d,"count":2}]`, name, value))
	}
	r.track(t, metric("b", 1), metric("a", 5), metric("b", 3), envelope(0, "", "MetricData", `"metrics":[]`))
	type row struct {
		Name  string   `json:"name"`
		Value *float64 `json:"value"`
		Count int      `json:"count"`
		Told  int      `json:"told"`
	}
	v := func(f float64) *float64 { return &f }
	if d := cmp.Diff([]row{{"", nil, 0, 1}, {"a", v(5), 2, 1}, {"b", v(3), 2, 2}}, get[[]row](t, r, "/metrics")); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if items := get[[]portal.Item](t, r, "/items"); len(items) != 0 {
		t.Errorf("%d metrics are among the items", len(items))
	}
}

// Items without a registration are notes.
func TestNotes(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{})
	r.track(t, told(0, "received", ""), message(0, "", "Kafka is away", `"event":"diverted"`), message(0, "op", "of the same invocation", `"InvocationId":"i"`))
	if got := messages(get[[]portal.Item](t, r, "/items?notes=true")); !cmp.Equal(got, []string{"Kafka is away"}) {
		t.Errorf("notes %q", got)
	}
}
