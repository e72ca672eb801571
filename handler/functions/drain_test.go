package functions_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/handler/delivery"
	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

const drain = "/DrainOutbox"

// quoted is the JSON string of a text.
func quoted(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// deadlines is a connection's writer that records its time limits.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read = t
	return nil
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.write = t
	return nil
}

func invoke(t *testing.T, h http.Handler, body string) answer {
	t.Helper()
	w := &deadlines{ResponseRecorder: httptest.NewRecorder(), read: time.Now()}
	h.ServeHTTP(w, request(t, http.MethodPost, drain, strings.NewReader(body)))
	if w.Code == http.StatusOK && (!w.read.IsZero() || time.Until(w.write) < 4*time.Minute) {
		t.Errorf("limits: to read until %v, to write until %v", w.read, w.write)
	}
	return answer{w.Code, w.Header(), w.Body.String()}
}

// In every form of invocation the message equals the one that was put into the queue.
func TestDrainReadsEveryForm(t *testing.T) {
	t.Parallel()
	event := string(registration.Envelope{
		Event:  registration.Event{ID: "e-1", UserID: `auth0|"ż\`, Source: "urn:auth0:acme", Time: time.Unix(1, 0)},
		Queued: time.Unix(2, 0),
	}.Encode())
	inBase64 := `"` + base64.StdEncoding.EncodeToString([]byte(event)) + `"`
	for name, c := range map[string]struct{ data, want string }{
		"binary":                  {`{"message":` + inBase64 + `}`, event},
		"string, encoded twice":   {`{"message":` + quoted(t, quoted(t, event)) + `}`, event},
		"string, encoded once":    {`{"message":` + quoted(t, event) + `}`, event},
		"an object":               {`{"message":` + event + `}`, event},
		"under another name":      {`{"job":` + inBase64 + `}`, event},
		"beside another":          {`{"other":"x","message":` + inBase64 + `}`, event},
		"binary, no event":        {`{"message":"` + base64.StdEncoding.EncodeToString([]byte{0xff, 0}) + `"}`, "\xff\x00"},
		"string, no event, twice": {`{"message":"\"hello\""}`, "hello"},
		"string, no event, once":  {`{"message":"hello!"}`, "hello!"},
		"half a string":           {`{"message":"\"hello"}`, `"hello`},
		"empty":                   {`{"message":""}`, ""},
		"null":                    {`{"message":null}`, "null"},
		"a number":                {`{"message":7}`, "7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			p := &parts{drain: func(_ context.Context, message []byte) error {
				got = append(got, string(message))
				return nil
			}}
			a := invoke(t, p.handler(t), `{"Data":`+c.data+`,"Metadata":{"DequeueCount":"1","Id":"\"x\"","sys":{"MethodName":"DrainOutbox"}}}`)
			if a.status != http.StatusOK || a.body != "{}" {
				t.Errorf("answer %d %q", a.status, a.body)
			}
			a.wantHeaders(t, "application/json")
			if len(got) != 1 || got[0] != c.want {
				t.Errorf("drained %q, want %q", got, c.want)
			}
		})
	}
}

func TestDrainRefuses(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":                 ``,
		"no JSON":                 marker,
		"cut off":                 `{"Data":{"message":"`,
		"an array":                `[]`,
		"no data":                 `{"Metadata":{}}`,
		"empty data":              `{"Data":{}}`,
		"two values of no name":   `{"Data":{"a":"` + marker + `","b":"x"}}`,
		"data that are no object": `{"Data":"` + marker + `"}`,
		"an HTTP request":         `{"userId":"` + marker + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &parts{}
			invoke(t, p.handler(t), body).wantProblem(t, http.StatusBadRequest, "invalid-invocation")
			if len(p.notDrained) != 1 {
				t.Errorf("told of %v", p.notDrained)
			}
		})
	}
	h := (&parts{}).handler(t)
	invoke(t, h, `{"Data":{"message":"`+strings.Repeat("x", 1<<20)+`"}}`).wantProblem(t, http.StatusBadRequest, "invalid-invocation")
	if got := serve(t, h, request(t, http.MethodPost, drain, strings.NewReader(`{"Data":{"message":"x"}}`))); got.status != http.StatusBadRequest {
		t.Errorf("without a connection whose limits can be lifted: answer %d %s", got.status, got.body)
	}
	got := serve(t, h, request(t, http.MethodGet, drain, http.NoBody))
	got.wantProblem(t, http.StatusMethodNotAllowed, "method-not-allowed")
	ended := (&parts{}).handler(t)
	ended.ShutDown()
	invoke(t, ended, `{"Data":{"message":"x"}}`).wantProblem(t, http.StatusServiceUnavailable, "busy")
}

// A message that is not drained must be delivered again: the answer is not 2xx, and repeats nothing of the message.
func TestNotDrained(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New(marker), &delivery.Error{Class: delivery.Unavailable, Op: "produce", Err: errors.New(marker)}} {
		p := &parts{drain: func(context.Context, []byte) error { return err }}
		invoke(t, p.handler(t), `{"Data":{"message":"x"}}`).wantProblem(t, http.StatusInternalServerError, "not-drained")
		if len(p.notDrained) != 0 {
			t.Errorf("told of %v, which the drain tells itself", p.notDrained)
		}
	}
}

// The number of messages in progress has its own limit, separate from that of registrations.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	const most = 64
	begun, end := make(chan struct{}, most), make(chan struct{})
	p := &parts{drain: func(context.Context, []byte) error {
		begun <- struct{}{}
		<-end
		return nil
	}}
	h := p.handler(t)
	answers := make(chan answer, most)
	for range most {
		go func() { answers <- invoke(t, h, `{"Data":{"message":"x"}}`) }()
	}
	for range most {
		<-begun
	}
	invoke(t, h, `{"Data":{"message":"x"}}`).wantProblem(t, http.StatusServiceUnavailable, "busy")
	serve(t, h, post(t)).wantStored(t, "e-1")
	close(end)
	for range most {
		if a := <-answers; a.status != http.StatusOK {
			t.Errorf("answer %d %s", a.status, a.body)
		}
	}
}

// Shutdown ends a drain that waits for Kafka; the host delivers the message again. Until then a drain has minutes,
// unlike a registration.
func TestServeWithDrains(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stops  time.Duration // the program
		status int
	}{"minutes": {time.Hour, http.StatusOK}, "told to end": {time.Minute, http.StatusInternalServerError}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &parts{drain: func(ctx context.Context, _ []byte) error {
					select {
					case <-time.After(4 * time.Minute):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}}
				s := start(t, p, time.Second)
				client, stop := s.client()
				defer stop()
				defer time.AfterFunc(c.stops, s.stop).Stop()
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://handler"+drain, strings.NewReader(`{"Data":{"message":"x"}}`))
				if err != nil {
					t.Fatal(err)
				}
				res, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				if err := res.Body.Close(); err != nil {
					t.Error(err)
				}
				if res.StatusCode != c.status {
					t.Errorf("answer %d, want %d", res.StatusCode, c.status)
				}
				s.stop()
				if err := <-s.done; err != nil {
					t.Errorf("Serve: %v", err)
				}
			})
		})
	}
}

// A registration in the outbox is answered 202, and a repeat is marked as such.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	kept := relay.Outcome{Kind: relay.InOutbox, EventID: "e-1", Outbox: delivery.Kept{Queue: "userrelay-outbox", ID: "m-1", Receipt: marker}}
	inOutbox := `{"eventId":"e-1","outbox":"userrelay-outbox","messageId":"m-1"}`
	for name, c := range map[string]struct {
		outcome  relay.Outcome
		replayed bool
		status   int
		body     string
	}{
		"outbox":           {kept, false, http.StatusAccepted, inOutbox},
		"outbox, repeated": {kept, true, http.StatusAccepted, inOutbox},
		"Kafka, repeated":  {outcome(registration.Event{ID: "e-1"}), true, http.StatusOK, storedJSON("e-1")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.outcome.Replayed = c.replayed
			p := &parts{deliver: func(context.Context, registration.Event) (relay.Outcome, error) { return c.outcome, nil }}
			a := serve(t, p.handler(t), post(t))
			if a.status != c.status || a.body != c.body || (a.header.Get("Idempotency-Replayed") == "true") != c.replayed {
				t.Errorf("answer %d %s %v", a.status, a.body, a.header)
			}
			a.wantHeaders(t, "application/json")
			a.wantNoEcho(t)
		})
	}
	p := &parts{deliver: func(context.Context, registration.Event) (relay.Outcome, error) {
		return relay.Outcome{}, relay.ErrIDTaken
	}}
	serve(t, p.handler(t), post(t)).wantProblem(t, http.StatusUnprocessableEntity, "event-id-taken")
}

func FuzzDrain(f *testing.F) {
	f.Add(`{"Data":{"message":"aGVsbG8="}}`)
	f.Add(`{"Data":{"message":"\"hello\""},"Metadata":{}}`)
	f.Fuzz(func(t *testing.T, body string) {
		p := &parts{t: t, drain: func(context.Context, []byte) error { return nil }}
		h := functions.New(functions.Config{Drain: p, Observer: p})
		a := invoke(t, h, body)
		if a.status != http.StatusOK && a.status != http.StatusBadRequest && a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("answer %d %s", a.status, a.body)
		}
	})
}
