package funchost

import (
	"context"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// service stands in for the queue service, without a network, so that it can run in virtual time.
type service func(*http.Request) (*http.Response, error)

func (s service) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

func refusing(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED }

func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func answering(status int, code string) service {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"X-Ms-Error-Code": {code}}, Body: io.NopCloser(strings.NewReader("")), Request: r,
		}, nil
	}
}

// TestListenerGivesUp shows what ends the host, and when; see QueueListener.ExecuteAsync of azure-sdk-for-net.
func TestListenerGivesUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		service service
		// When it gives up, and after how many attempts. Without least and most: never.
		least, most time.Duration
		tries       int
		why         string
	}{
		{"refused connections", refusing, 18 * time.Second, 33 * time.Second, 6, "take messages: connection refused"},
		{"silence", silent, 10 * time.Minute, 11 * time.Minute, 6, "take messages: context deadline exceeded"},
		{"refused key", answering(http.StatusForbidden, "AuthenticationFailed"), 0, 0, 1, "take messages: the queue service answered 403 AuthenticationFailed"},
		{"failing service", answering(http.StatusInternalServerError, "InternalError"), 0, 0, 0, ""},
		{"no queue", answering(http.StatusNotFound, "QueueNotFound"), 0, 0, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin, tries := time.Now(), 0
				connection, err := queueFunction{setting: "S"}.connection(environment{"S=UseDevelopmentStorage=true"})
				if err != nil {
					t.Fatal(err)
				}
				fn := queueFunction{name: "Drain", queue: "jobs", setting: "S"}
				queue, err := newStorageQueue(fn, connection, service(func(r *http.Request) (*http.Response, error) {
					tries++
					return tt.service(r)
				}))
				if err != nil {
					t.Fatal(err)
				}
				var why error
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				l := &listener{
					fn: fn, queue: queue, console: newConsole(Config{}, levels{}),
					options:   queueOptions{batchSize: 16, newBatchThreshold: 8, maxInterval: 15 * time.Second},
					unhandled: func(err error) { why = err; cancel() },
				}
				l.listen(ctx, t.Context())
				took := time.Since(begin)
				switch {
				case tt.why == "":
					if why != nil || took < time.Hour {
						t.Errorf("gave up after %v: %v", took, why)
					}
				case why == nil || why.Error() != tt.why || took < tt.least || took > tt.most || tries != tt.tries:
					t.Errorf("gave up after %v and %d tries: %v; want %v to %v, %d: %s", took, tries, why, tt.least, tt.most, tt.tries, tt.why)
				}
			})
		})
	}
}
