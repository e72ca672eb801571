package portal_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"userrelay/local/portal"
	"userrelay/test/wait"
)

func ignoreUnexported() cmp.Option { return cmpopts.IgnoreUnexported(portal.Registration{}) }

var errQueue = errors.New("the queue service cannot be reached")

// outageView is the part of /outbox about an outage.
type outageView struct {
	Outage *struct {
		Since    string  `json:"since"`
		Back     string  `json:"back"`
		Over     string  `json:"over"`
		Class    string  `json:"class"`
		NextTry  string  `json:"nextTry"`
		Total    int     `json:"total"`
		Waiting  int     `json:"waiting"`
		Drained  int     `json:"drained"`
		Poisoned int     `json:"poisoned"`
		Lost     int     `json:"lost"`
		DrainMs  float64 `json:"drainMs"`
	} `json:"outage"`
}

func TestOutageIsTold(t *testing.T) {
	t.Parallel()
	b := &boxes{}
	b.set(look(3, encoded(event("a", 1))), portal.QueueLook{}, nil)
	r := start(t, portal.Config{Outbox: b})
	if got := get[outageView](t, r, "/outbox"); got.Outage != nil {
		t.Fatalf("an outage out of nothing: %+v", got.Outage)
	}
	seenBy(t, r, "the queue", func(s outboxState) bool { return s.Waiting == 3 })
	r.track(t, message(0, "", "Kafka is away", `"event":"diverted"`), outboxed(1, "a"), outboxed(2, "b"), outboxed(3, "c"))
	got := get[outageView](t, r, "/outbox").Outage
	if got == nil || got.Since != "2026-11-24T12:00:00Z" || got.Back != "" || got.Total != 3 || got.Waiting != 3 || got.Class != "unavailable" {
		t.Fatalf("in the outage: %+v", got)
	}
	r.track(t, message(20*time.Second, "", "Kafka is back", `"event":"resumed","awayMs":"21000","waiting":"3"`), drainedItem(21, "a", "1"))
	got = get[outageView](t, r, "/outbox").Outage
	if got.Back != "2026-11-24T12:00:20Z" || got.Since != "2026-11-24T11:59:59Z" || got.Over != "" || got.Drained != 1 {
		t.Fatalf("Kafka is back: %+v", got)
	}
	r.track(t, drainedItem(22, "b", "1"), message(22*time.Second, "op-c", "Moved to the poison queue", `"event":"poisoned","userId":"auth0|c","eventId":"c"`))
	b.set(portal.QueueLook{}, portal.QueueLook{}, nil)
	wait.For(t, "the end of it", func() bool {
		got = get[outageView](t, r, "/outbox").Outage
		return got == nil || got.Over != ""
	})
	// It ended long ago by the items' clock, so that it is shown only once.
	if got != nil && (got.Drained != 2 || got.Poisoned != 1 || got.Lost != 0 || got.Waiting != 0 || got.DrainMs != 2000) {
		t.Errorf("the end: %+v", got)
	}
}

func TestOutageThatNobodyExplains(t *testing.T) {
	t.Parallel()
	b := &boxes{}
	r := start(t, portal.Config{Outbox: b})
	seenBy(t, r, "the queue", func(s outboxState) bool { return s.Readable })
	now := time.Now().UTC().Format(time.RFC3339Nano)
	r.track(t, fmt.Sprintf(`{"name":"n","time":%q,"tags":{"ai.operation.id":"op"},"data":{"baseType":"MessageData","baseData":{"message":"m","properties":{"event":"outboxed","userId":"u","eventId":"e","errorClass":"unknown-outcome"}}}}`, now))
	if got := get[outageView](t, r, "/outbox").Outage; got == nil || got.Total != 1 || got.NextTry == "" {
		t.Fatalf("what is held back: %+v", got)
	}
	wait.For(t, "that it is said to be unexplained", func() bool {
		got := get[outageView](t, r, "/outbox").Outage
		return got != nil && got.Over != "" && got.Lost == 1
	})
}

func TestResend(t *testing.T) {
	t.Parallel()
	b := &boxes{}
	r := start(t, portal.Config{Outbox: b})
	if res := r.send(t, http.MethodPost, "/resend", ""); res.StatusCode != http.StatusOK || res.body != `{"sent":2,"left":1}` {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	b.set(portal.QueueLook{}, portal.QueueLook{}, errQueue)
	if res := r.send(t, http.MethodPost, "/resend", ""); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a queue that is away: %d %s", res.StatusCode, res.body)
	}
	if res := start(t, portal.Config{}).send(t, http.MethodPost, "/resend", ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("without an outbox: %d", res.StatusCode)
	}
}

func TestWay(t *testing.T) {
	t.Parallel()
	type node struct {
		Address string `json:"address"`
		State   string `json:"state"`
	}
	type way struct {
		Host    node   `json:"host"`
		Handler node   `json:"handler"`
		Kafka   node   `json:"kafka"`
		Outbox  node   `json:"outbox"`
		Told    string `json:"told"`
	}
	r := start(t, portal.Config{Outbox: &boxes{}, OutboxAddress: "127.0.0.1:1"})
	if got := get[way](t, r, "/way"); got.Host.State != "unknown" || got.Kafka.State != "unknown" || got.Told != "" {
		t.Errorf("at first: %+v", got)
	}
	r.SetParts(portal.Parts{Host: r.url, Handler: "http://127.0.0.1:1"})
	r.track(t, message(0, "op", "m", ""))
	wait.For(t, "the queue was read", func() bool { return get[way](t, r, "/way").Outbox.State == "up" })
	got := get[way](t, r, "/way")
	if got.Host.State != "up" || "http://"+got.Host.Address != r.url || got.Handler != (node{"127.0.0.1:1", "down"}) || got.Told != "2026-11-24T12:00:00Z" || got.Outbox.Address != "127.0.0.1:1" {
		t.Errorf("%+v", got)
	}
}
