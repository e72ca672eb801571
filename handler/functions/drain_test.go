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

func (p *parts) invoke(t *testing.T, body string) answer {
	t.Helper()
	return p.serve(request(t, http.MethodPost, drain, strings.NewReader(body)))
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
	w := httptest.NewRecorder() // the limits of this connection cannot be lifted
	p.ServeHTTP(w, request(t, http.MethodPost, drain, strings.NewReader(invocation)))
	answer{w.Code, w.Header(), w.Body.String()}.wantProblem(t, http.StatusBadRequest, "invalid-invocation")
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
	synctest.Test(t, func(t *testing.T) {
		const most = 64
		end, answers := make(chan struct{}), make(chan answer)
		p := serving(t, &parts{drain: func(context.Context, []byte) error {
			<-end
			return nil
		}})
		for range most {
			go func() { answers <- p.invoke(t, invocation) }()
		}
		synctest.Wait()
		p.invoke(t, invocation).wantProblem(t, http.StatusServiceUnavailable, "busy")
		p.serve(post(t)).wantStored(t)
		close(end)
		for range most {
			(<-answers).want(t, http.StatusOK, "{}")
		}
		p.invoke(t, invocation).want(t, http.StatusOK, "{}")
	})
}

// A drain has five minutes, unlike a registration. Shutdown ends a drain that waits for Kafka; the host delivers the
// message again.
func TestServeWithDrains(t *testing.T) {
	type row struct {
		takes, stops time.Duration
		status       int // 0: the connection is cut
	}
	each(t, map[string]row{
		"in time":    {4*time.Minute + 59*time.Second, time.Hour, http.StatusOK},
		"too long":   {5*time.Minute + time.Second, time.Hour, 0},
		"a shutdown": {4 * time.Minute, time.Minute, http.StatusInternalServerError},
	}, func(t *testing.T, c row) {
		t.Helper()
		s := start(t, &parts{drain: func(ctx context.Context, _ []byte) error {
			select {
			case <-time.After(c.takes):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}, time.Second)
		defer time.AfterFunc(c.stops, s.stop).Stop()
		if got, err := s.send(t, drain, invocation); got.status != c.status || (err == nil) != (c.status != 0) {
			t.Errorf("answer %d, error %v, want %d", got.status, err, c.status)
		}
		s.end(t)
	})
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
