package portal_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/local/portal"
	"userrelay/test/wait"
)

// boxes is an outbox with the given messages.
type boxes struct {
	mu                sync.Mutex
	waiting, poisoned portal.QueueLook
	err               error
}

func (b *boxes) Waiting(context.Context) (portal.QueueLook, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting, b.err
}

func (b *boxes) Poisoned(context.Context) (portal.QueueLook, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.poisoned, b.err
}

func (b *boxes) Resend(context.Context) (sent, left int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return 2, 1, b.err
}

func (b *boxes) set(waiting, poisoned portal.QueueLook, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting, b.poisoned, b.err = waiting, poisoned, err
}

// outboxState is the answer of /outbox.
type outboxState struct {
	Readable bool       `json:"readable"`
	Reason   string     `json:"reason"`
	Waiting  int        `json:"waiting"`
	Poisoned int        `json:"poisoned"`
	Events   []waiting  `json:"events"`
	Messages []poisoned `json:"messages"`
	Drained  []drained  `json:"drained"`
}

type waiting struct {
	UserID     string `json:"userId"`
	EventID    string `json:"eventId"`
	Since      string `json:"since"`
	ErrorClass string `json:"errorClass"`
	Operation  string `json:"operation"`
	Text       string `json:"text"`
	Visible    bool   `json:"visible"`
}

type poisoned struct {
	ID      string `json:"id"`
	Reason  string `json:"reason"`
	Since   string `json:"since"`
	UserID  string `json:"userId"`
	EventID string `json:"eventId"`
	Text    string `json:"text"`
}

type drained struct {
	Time      string        `json:"time"`
	UserID    string        `json:"userId"`
	EventID   string        `json:"eventId"`
	Operation string        `json:"operation"`
	QueuedMs  *float64      `json:"queuedMs"`
	Place     *portal.Place `json:"place"`
}

// look returns a queue with the texts, the oldest first, a second apart, starting at noon.
func look(count int, texts ...string) portal.QueueLook {
	l := portal.QueueLook{Count: count}
	for i, text := range texts {
		l.Messages = append(l.Messages, portal.QueueMessage{ID: fmt.Sprint("m", i), Text: text, Inserted: noon().Add(time.Duration(i) * time.Second)})
	}
	return l
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// event is a message of the outbox. second is when it was put there, after noon.
func event(id string, second int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"urn:auth0:t","type":"user.created","time":"2026-11-24T11:00:00Z","subject":"auth0|%s",`+
		`"datacontenttype":"application/json","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",`+
		`"queuedtime":"2026-11-24T12:00:%02dZ","errorclass":"unavailable","data":{"userId":"auth0|%s"}}`, id, id, second, id)
}

func outboxed(second int, id string) string {
	return message(time.Duration(second)*time.Second, "op-"+id, "Kafka unavailable, kept in the outbox",
		fmt.Sprintf(`"event":"outboxed","userId":"auth0|%s","eventId":%q,"errorClass":"unavailable"`, id, id))
}

func drainedItem(second int, id, queuedMs string) string {
	return message(time.Duration(second)*time.Second, "op-"+id, "Drained to t[1]@7",
		fmt.Sprintf(`"event":"drained","userId":"auth0|%s","eventId":%q,"queuedMs":%q,%s`, id, id, queuedMs, place(1, 7)))
}

// seenBy waits until the answer of /outbox satisfies the condition.
func seenBy(t *testing.T, r *rig, what string, f func(outboxState) bool) (s outboxState) {
	t.Helper()
	wait.For(t, what, func() bool {
		s = get[outboxState](t, r, "/outbox")
		return f(s)
	})
	return s
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	b := &boxes{}
	r := start(t, portal.Config{Outbox: b})
	events := r.stream(t)
	s := seenBy(t, r, "an empty outbox", func(s outboxState) bool { return s.Readable })
	if d := cmp.Diff(outboxState{Readable: true, Events: []waiting{}, Messages: []poisoned{}, Drained: []drained{}}, s); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	before := int64(0)
	events.until(t, "the first event", func(c counts) bool { before = c.Outbox; return true })

	b.set(look(4, encoded(event("a", 2)), encoded(event("b", 1))), portal.QueueLook{}, nil)
	events.until(t, "an event of the outbox", func(c counts) bool { return c.Outbox > before })
	// c and d are invisible, a is in the queue as well, e and g have left it.
	withdrawn := message(time.Second, "op-g", "Taken back", `"event":"withdrawn","eventId":"g"`)
	r.track(t, outboxed(1, "g"), withdrawn, outboxed(0, "c"), outboxed(3, "d"), outboxed(4, "a"), outboxed(5, "e"), drainedItem(9, "e", "4000"), drainedItem(8, "f", "nonsense"))
	s = seenBy(t, r, "all of it", func(s outboxState) bool { return s.Waiting == 4 })
	const operation = "0af7651916cd43dd8448eb211c80319c"
	ms := 4000.0
	want := outboxState{
		Readable: true, Waiting: 4, Messages: []poisoned{},
		Events: []waiting{
			{UserID: "auth0|d", EventID: "d", Since: "2026-11-24T12:00:03Z", ErrorClass: "unavailable", Operation: "op-d"},
			{UserID: "auth0|a", EventID: "a", Since: "2026-11-24T12:00:02Z", ErrorClass: "unavailable", Operation: operation, Visible: true},
			{UserID: "auth0|b", EventID: "b", Since: "2026-11-24T12:00:01Z", ErrorClass: "unavailable", Operation: operation, Visible: true},
			{UserID: "auth0|c", EventID: "c", Since: "2026-11-24T12:00:00Z", ErrorClass: "unavailable", Operation: "op-c"},
		},
		Drained: []drained{
			{Time: "2026-11-24T12:00:09Z", UserID: "auth0|e", EventID: "e", Operation: "op-e", QueuedMs: &ms, Place: &portal.Place{Topic: "t", Partition: 1, Offset: 7}},
			{Time: "2026-11-24T12:00:08Z", UserID: "auth0|f", EventID: "f", Operation: "op-f", Place: &portal.Place{Topic: "t", Partition: 1, Offset: 7}},
		},
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}

	// Telemetry alone cannot fill a queue that is empty.
	b.set(portal.QueueLook{}, portal.QueueLook{}, nil)
	if s := seenBy(t, r, "nothing any more", func(s outboxState) bool { return s.Waiting == 0 }); len(s.Events) != 0 {
		t.Errorf("events %+v in an empty queue", s.Events)
	}
}

func TestOutboxThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := &boxes{}
	b.set(look(1, encoded(event("a", 1))), look(1, "x"), nil)
	r := start(t, portal.Config{Outbox: b})
	seenBy(t, r, "a message", func(s outboxState) bool { return s.Waiting == 1 && s.Readable })
	b.set(portal.QueueLook{}, portal.QueueLook{}, errors.New("the queue service cannot be reached"))
	s := seenBy(t, r, "the outage", func(s outboxState) bool { return !s.Readable })
	if s.Reason != "the queue service cannot be reached" || s.Waiting != 1 || len(s.Events) != 1 || s.Poisoned != 1 {
		t.Errorf("%+v: what was seen before has to stay", s)
	}
	b.set(portal.QueueLook{}, portal.QueueLook{}, nil)
	seenBy(t, r, "its end", func(s outboxState) bool { return s.Readable && s.Waiting == 0 })

	none := start(t, portal.Config{})
	none.track(t, drainedItem(1, "a", "1"))
	if s := get[outboxState](t, none, "/outbox"); s.Readable || s.Reason == "" || s.Events == nil || len(s.Drained) != 1 {
		t.Errorf("without an outbox: %+v", s)
	}
}

func TestPoisonedMessages(t *testing.T) {
	t.Parallel()
	b := &boxes{}
	givenUp := func(text string) string {
		return fmt.Sprintf(`{"reason":"no event","message":%q,"poisonedtime":"2026-11-24T13:00:00Z"}`, text)
	}
	texts := []string{
		encoded(event("a", 1)),                    // the host tried it too often
		"not base64",                              // the host could not read it
		encoded(givenUp(encoded("what it was"))),  // the handler could not
		givenUp(encoded(event("b", 1))),           // the same, not in base64
		encoded(givenUp("not base64 \uFFFD <b>")), // of text that was not base64
		encoded(`{"reason":"half"}`),
		encoded("\xff\xfe"),
		"",
		encoded(strings.Repeat("x", 40_000)),
	}
	b.set(portal.QueueLook{}, look(len(texts), texts...), nil)
	r := start(t, portal.Config{Outbox: b})
	s := seenBy(t, r, "the messages", func(s outboxState) bool { return s.Poisoned == len(texts) })
	const tooOften, unread = "the Functions host tried it too often", "the Functions host could not read it: it is not base64"
	at := func(second int) string { return noon().Add(time.Duration(second) * time.Second).Format(time.RFC3339) }
	want := []poisoned{
		{ID: "m8", Reason: tooOften, Since: at(8), Text: strings.Repeat("x", 16<<10) + "… (40000 bytes)"},
		{ID: "m7", Reason: tooOften, Since: at(7)},
		{ID: "m6", Reason: tooOften, Since: at(6), Text: "\uFFFD"},
		{ID: "m5", Reason: tooOften, Since: at(5), Text: `{"reason":"half"}`},
		{ID: "m4", Reason: "no event", Since: "2026-11-24T13:00:00Z", Text: "not base64 \uFFFD <b>"},
		{ID: "m3", Reason: "no event", Since: "2026-11-24T13:00:00Z", UserID: "auth0|b", EventID: "b", Text: event("b", 1)},
		{ID: "m2", Reason: "no event", Since: "2026-11-24T13:00:00Z", Text: "what it was"},
		{ID: "m1", Reason: unread, Since: at(1), Text: "not base64"},
		{ID: "m0", Reason: tooOften, Since: at(0), UserID: "auth0|a", EventID: "a", Text: event("a", 1)},
	}
	if d := cmp.Diff(want, s.Messages); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestWaitingMessagesThatAreNoEvents(t *testing.T) {
	t.Parallel()
	b := &boxes{}
	texts := []string{"not base64", encoded(`{"specversion":"1.0"}`), encoded(`{"specversion":"1.0","id":"a","id":"b"}`), encoded("[]"), "", encoded(`{"specversion":"1.0","id":"x","queuedtime":"soon","traceparent":"x"}`)}
	b.set(look(100, texts...), portal.QueueLook{}, nil)
	r := start(t, portal.Config{Outbox: b})
	s := seenBy(t, r, "the messages", func(s outboxState) bool { return s.Waiting == 100 })
	if len(s.Events) != len(texts) {
		t.Fatalf("%d events", len(s.Events))
	}
	if d := cmp.Diff(waiting{EventID: "x", Since: "2026-11-24T12:00:05Z", Visible: true}, s.Events[0]); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	for i, want := range []string{"", "[]", `{"specversion":"1.0","id":"a","id":"b"}`, `{"specversion":"1.0"}`, "not base64"} {
		if got := s.Events[i+1]; got.Text != want || got.EventID != "" || got.UserID != "" {
			t.Errorf("%+v, want the text %q only", got, want)
		}
	}
}

func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	b := &boxes{}
	b.set(look(1000), portal.QueueLook{}, nil)
	r := start(t, portal.Config{Outbox: b})
	var items []string
	for i := range 100 {
		items = append(items, outboxed(i, fmt.Sprint("w", i)), drainedItem(i, fmt.Sprint("d", i), "1"))
	}
	r.track(t, items...)
	s := seenBy(t, r, "the number", func(s outboxState) bool { return s.Waiting == 1000 })
	if len(s.Events) != 50 || s.Events[0].EventID != "w99" || len(s.Drained) != 10 || s.Drained[0].EventID != "d99" {
		t.Errorf("%d events, %d drained; want the newest 50 and 10", len(s.Events), len(s.Drained))
	}
}
