package simulation

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// attempt is a request of a caller, and its result.
type attempt struct {
	call     int
	c        Call
	trace    string
	by       string // the life that was asked
	sent     time.Duration
	answered time.Duration
	took     time.Duration // by the handler
	status   int           // 0: no answer
	left     bool          // the caller hung up
	body     struct {
		EventID   string `json:"eventId"`
		Partition int32  `json:"partition"`
		Offset    int64  `json:"offset"`
		Outbox    string `json:"outbox"`
		Type      string `json:"type"`
	}
	records []record // that the judge found
}

func (a *attempt) stored() bool { return a.status/100 == 2 }

// call is a caller.
func (w *world) call(n int, c Call) {
	<-time.After(c.At + time.Duration(n)*time.Microsecond)
	host, again := c.Host, c.Again
	for try := range c.Tries + 1 {
		h := w.fronts()[host%len(w.fronts())]
		var second sync.WaitGroup
		if c.Twice {
			second.Go(func() {
				<-time.After(w.jitter(strconv.Itoa(n), "second") / 16) // otherwise their order would be random
				w.send(h, c, 100*n+10+try)
			})
		}
		a := w.send(h, c, 100*n+try)
		second.Wait()
		if a.stored() && !again || try+1 == c.Tries {
			return
		}
		again = again && !a.stored()
		if c.Other {
			host++
		}
		<-time.After(c.Pause + w.jitter(strconv.Itoa(n), "caller"))
	}
}

func (w *world) fronts() (all []*host) {
	for _, h := range w.hosts {
		if h.front {
			all = append(all, h)
		}
	}
	return all
}

// send makes a request, which number identifies.
func (w *world) send(h *host, c Call, number int) *attempt {
	a := &attempt{call: number / 100, c: c, trace: fmt.Sprintf("%016x%016x", w.seed+1, number+1), sent: time.Since(w.begin)}
	ctx := w.life
	if c.Leaves > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Leaves)
		defer cancel()
	}
	header := invocation(a.trace, a.trace, a.trace[16:])
	if c.Form == FormKey {
		header.Set("Idempotency-Key", c.EventID)
	}
	got := h.ask(ctx, http.MethodPost, "/api/RegisterUser", header, []byte(body(c)))
	a.by, a.took, a.answered, a.status = got.by, got.took, time.Since(w.begin), got.status
	a.left = ctx.Err() != nil
	if a.status != 0 {
		if err := json.Unmarshal(got.body, &a.body); err != nil {
			w.problem("STRANGE: %s answered what is not JSON", a.by)
		}
	}
	w.logf("call %d to %s: %d after %v, partition %d offset %d %s", number, a.by, a.status, a.took, a.body.Partition, a.body.Offset, a.body.Type)
	w.mu.Lock()
	w.attempts = append(w.attempts, a)
	w.mu.Unlock()
	return a
}

// invocation returns the headers of a host's request with JSON.
func invocation(id, trace, span string) http.Header {
	return http.Header{
		"Content-Type": {"application/json"}, "X-Azure-Functions-Invocationid": {id}, "Traceparent": {"00-" + trace + "-" + span + "-01"},
	}
}

// body returns a registration in the caller's form.
func body(c Call) string {
	user := fmt.Sprintf(`{"user_id":%q,"tenant":%q,"created_at":"2026-01-01T00:00:00.%03dZ","name":%q}`,
		c.User, c.Tenant, c.Created, strings.Repeat("n", c.Profile))
	switch c.Form {
	case FormUser:
		return user
	case FormCloud:
		return fmt.Sprintf(`{"specversion":"1.0","type":"com.auth0.user.created","source":"urn:auth0:%s","id":%q,"a0tenant":%q,"data":{"object":%s}}`,
			c.Tenant, c.EventID, c.Tenant, user)
	case FormKey, FormPlain:
	}
	event := ""
	if c.Form == FormPlain && c.EventID != "" {
		event = fmt.Sprintf(`,"eventId":%q`, c.EventID)
	}
	return fmt.Sprintf(`{"userId":%q,"tenant":%q,"user":%s%s}`, c.User, c.Tenant, user, event)
}
