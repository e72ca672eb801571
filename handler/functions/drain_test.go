package functions_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/functions"
	"userrelay/handler/registration"
)

const (
	drain      = "/DrainOutbox"
	invocation = `{"Data":{"message":"x"}}`
)

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

func (p *parts) invoke(t *testing.T, body string) answer {
	t.Helper()
	w := &deadlines{ResponseRecorder: httptest.NewRecorder(), read: time.Now()}
	p.ServeHTTP(w, request(t, http.MethodPost, drain, strings.NewReader(body)))
	if w.Code == http.StatusOK && (!w.read.IsZero() || time.Until(w.write) < 4*time.Minute) {
		t.Errorf("limits: to read until %v, to write until %v", w.read, w.write)
	}
	return answer{w.Code, w.Header(), w.Body.String()}
}

// In every form of invocation the message equals the one that was put into the queue.
func TestDrainReadsEveryForm(t *testing.T) {
	t.Parallel()
	event := string(registration.Envelope{
		Event:  registration.Event{ID: "e-1", UserID: `auth0|"\`, Source: "urn:auth0:acme", Time: time.Unix(1, 0)},
		Queued: time.Unix(2, 0),
	}.Encode())
	inBase64 := `"` + base64.StdEncoding.EncodeToString([]byte(event)) + `"`
	for _, c := range []struct{ data, want string }{
		{`{"message":` + inBase64 + `}`, event},
		{`{"message":` + strconv.Quote(strconv.Quote(event)) + `}`, event},
		{`{"message":` + strconv.Quote(event) + `}`, event},
		{`{"message":` + event + `}`, event},
		{`{"job":` + inBase64 + `}`, event},
		{`{"other":"x","message":` + inBase64 + `}`, event},
		{`{"message":"` + base64.StdEncoding.EncodeToString([]byte{0xff, 0}) + `"}`, "\xff\x00"},
		{`{"message":"\"hello\""}`, "hello"},
		{`{"message":"hello!"}`, "hello!"},
		{`{"message":"\"hello"}`, `"hello`},
		{`{"message":""}`, ""},
		{`{"message":null}`, "null"},
		{`{"message":7}`, "7"},
	} {
		p := serving(t, &parts{want: "drained:" + c.want})
		const metadata = `{"DequeueCount":"1","Id":"\"x\"","sys":{"MethodName":"DrainOutbox"}}`
		p.invoke(t, `{"Data":`+c.data+`,"Metadata":`+metadata+`}`).want(t, http.StatusOK, "{}")
	}
}

func TestDrainRefuses(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		``, marker, `{"Data":{"message":"`, `[]`, `{"Metadata":{}}`, `{"Data":{}}`, `{"Data":{"a":"` + marker + `","b":"x"}}`,
		`{"Data":"` + marker + `"}`, `{"userId":"` + marker + `"}`,
	} {
		serving(t, &parts{want: "not-drained"}).invoke(t, body).wantProblem(t, http.StatusBadRequest, "invalid-invocation")
	}
	p := serving(t, &parts{})
	p.invoke(t, `{"Data":{"message":"`+strings.Repeat("x", 1<<20)+`"}}`).wantProblem(t, http.StatusBadRequest, "invalid-invocation")
	if got := p.serve(request(t, http.MethodPost, drain, strings.NewReader(invocation))); got.status != http.StatusBadRequest {
		t.Errorf("without a connection whose limits can be lifted: answer %d %s", got.status, got.body)
	}
	p.ShutDown()
	p.invoke(t, invocation).wantProblem(t, http.StatusServiceUnavailable, "busy")
}

// A message that is not drained must be delivered again: the answer is not 2xx, and repeats nothing of the message. The
// drain itself tells of it.
func TestNotDrained(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New(marker), &delivery.Error{Class: delivery.Unavailable, Op: "produce", Err: errors.New(marker)}} {
		p := serving(t, &parts{drain: func(context.Context, []byte) error { return err }})
		p.invoke(t, invocation).wantProblem(t, http.StatusInternalServerError, "not-drained")
	}
}

// The number of messages in progress has its own limit, separate from that of registrations.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	const most = 64
	begun, end, answers := make(chan struct{}), make(chan struct{}), make(chan answer)
	p := serving(t, &parts{drain: func(context.Context, []byte) error {
		begun <- struct{}{}
		<-end
		return nil
	}})
	for range most {
		go func() { answers <- p.invoke(t, invocation) }()
		<-begun
	}
	p.invoke(t, invocation).wantProblem(t, http.StatusServiceUnavailable, "busy")
	p.serve(post(t)).wantStored(t)
	close(end)
	for range most {
		(<-answers).want(t, http.StatusOK, "{}")
	}
}

// Shutdown ends a drain that waits for Kafka; the host delivers the message again. Until then a drain has minutes,
// unlike a registration.
func TestServeWithDrains(t *testing.T) {
	t.Parallel()
	for stops, status := range map[time.Duration]int{time.Hour: http.StatusOK, time.Minute: http.StatusInternalServerError} {
		synctest.Test(t, func(t *testing.T) {
			s := start(t, &parts{drain: func(ctx context.Context, _ []byte) error {
				select {
				case <-time.After(4 * time.Minute):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}}, time.Second)
			defer time.AfterFunc(stops, s.stop).Stop()
			if got, err := s.send(t, drain, invocation); err != nil || got.status != status {
				t.Errorf("answer %d, error %v, want %d", got.status, err, status)
			}
			s.end(t)
		})
	}
}

func FuzzDrain(f *testing.F) {
	f.Add(`{"Data":{"message":"aGVsbG8="}}`)
	f.Add(`{"Data":{"message":"\"hello\""},"Metadata":{}}`)
	f.Fuzz(func(t *testing.T, body string) {
		p := &parts{}
		p.Handler = functions.New(functions.Config{Drain: p, Observer: p})
		if a := p.invoke(t, body); a.status != http.StatusOK && a.status != http.StatusBadRequest {
			t.Errorf("answer %d %s", a.status, a.body)
		}
	})
}
