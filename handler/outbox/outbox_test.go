package outbox_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/handler/delivery"
	"userrelay/handler/identity"
	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/local/storagequeue"
	"userrelay/test/must"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// A message stays in the queue unchanged and without expiry. A missing queue is created.
func TestPut(t *testing.T) {
	t.Parallel()
	s, q, ctx := started(t)
	m := message(1)
	m.Event.Profile = []byte(`{"a":"` + strings.Repeat("x", registration.MaxEnvelope) + `"}`)
	kept := put(t, q, m, 0)
	queue := queuetest.Open(t, s.ConnectionString(), outbox.QueueName)
	got := must.Get[azqueue.DequeueMessagesResponse](t)(queue.DequeueMessages(ctx, nil)).Messages
	if len(got) != 1 || *got[0].MessageText != inBase64(m.Encode()) {
		t.Fatalf("%d messages in the queue", len(got))
	}
	if kept.Queue != outbox.QueueName || kept.ID != *got[0].MessageID || kept.Receipt == "" {
		t.Errorf("kept as %+v, the queue has %s", kept, *got[0].MessageID)
	}
	if never := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC); got[0].ExpirationTime.Before(never) {
		t.Errorf("it expires on %v", got[0].ExpirationTime)
	}
	_, err := at(t, s.URL()).Put(ctx, m, 0)
	if err == nil || !strings.Contains(err.Error(), "AuthenticationFailed") || !strings.Contains(outbox.Advice(err), "AccountKey") {
		t.Errorf("by another key: error = %v, advice %q", err, outbox.Advice(err))
	}
}

// A hidden message can be deleted or made visible, but not after somebody else has received it.
func TestHidden(t *testing.T) {
	t.Parallel()
	_, q, ctx := started(t)
	gone, shown := put(t, q, message(1), 90*time.Second), put(t, q, message(2), 90*time.Second)
	if n, err := q.Count(ctx); len(take(t, q)) != 0 || n != 2 || err != nil {
		t.Errorf("some of %d messages can be seen, want none of 2: %v", n, err)
	}
	if err := errors.Join(q.Delete(ctx, gone), q.Show(ctx, shown, 0)); err != nil {
		t.Error(err)
	}
	if got := take(t, q); len(got) != 1 || string(got[0].Message) != string(message(2).Encode()) {
		t.Fatalf("%d messages can be seen, want the second one as it was", len(got))
	}
	if err := q.Delete(ctx, shown); !errors.Is(err, delivery.ErrSeen) {
		t.Errorf("a message that somebody has is deleted: %v", err)
	}
	if err := q.Show(ctx, shown, 0); !errors.Is(err, delivery.ErrSeen) {
		t.Errorf("a message that somebody has is shown: %v", err)
	}
	if err := q.Delete(ctx, gone); !errors.Is(err, delivery.ErrSeen) || !strings.Contains(err.Error(), "MessageNotFound") {
		t.Errorf("deleted a second time: %v", err)
	}
}

// Prepare creates the queues and leaves those that are there. Check leaves nothing behind.
func TestPrepareAndCheck(t *testing.T) {
	t.Parallel()
	s, q, ctx := started(t)
	for range 2 {
		if err := errors.Join(q.Prepare(ctx), q.Check(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{outbox.QueueName, outbox.QueueName + "-poison"} {
		if got, err := queuetest.Open(t, s.ConnectionString(), name).GetProperties(ctx, nil); err != nil || *got.ApproximateMessagesCount != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Prepare waits for a slow token, and says why there is none. A registration does not wait.
func TestByIdentity(t *testing.T) {
	t.Parallel()
	s, client := secured(t)
	account := must.Get[outbox.Account](t)(outbox.AccountAt(s.URL()))
	for name, c := range map[string]struct{ token, code string }{
		"the right token": {bearer(time.Now().Add(time.Hour)), ""},
		"expired":         {bearer(time.Now().Add(-time.Minute)), "AuthenticationFailed"},
		"no token at all": {"Pr1vate", "AuthenticationFailed"},
		"no identity":     {"", "NoToken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			come := make(chan struct{})
			tokens := identity.NewTokens(func(ctx context.Context) (string, time.Time, error) {
				select {
				case <-come:
				case <-ctx.Done():
				}
				if c.token == "" {
					return "", time.Time{}, errors.New("no identity")
				}
				return c.token, time.Now().Add(time.Hour), ctx.Err()
			})
			q := newQueue(t, outbox.Config{Account: account, Client: client, Tokens: tokens})
			_, err := q.Put(t.Context(), message(1), 0) // at once: its context does not end
			if delivery.ClassOf(err) != delivery.Unavailable || !strings.Contains(err.Error(), "NoToken") {
				t.Errorf("without a token: %v", err)
			}
			close(come)
			if err = q.Prepare(wait.Context(t)); err == nil {
				_, err = q.Put(wait.Context(t), message(1), 0)
			}
			if c.code == "" && err != nil || c.code != "" && (err == nil || !strings.Contains(err.Error(), ": "+c.code)) {
				t.Errorf("error = %v, want one of %q", err, c.code)
			}
			if err != nil && (strings.Contains(err.Error(), "Pr1vate") || outbox.Advice(err) == "") {
				t.Errorf("error %v, advice %q", err, outbox.Advice(err))
			}
		})
	}
}

// Put returns when its time is up, although the service accepts connections and never answers.
func TestPutInTime(t *testing.T) {
	t.Parallel()
	l := must.Get[net.Listener](t)(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))
	defer func() { _ = l.Close() }()
	q := at(t, "http://"+l.Addr().String())
	wait.LongEnough(t, "a message is sent", 100*time.Millisecond, func(limit time.Duration) bool {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		_, err := q.Put(ctx, message(1), 0)
		if err == nil || !strings.Contains(err.Error(), ": Timeout") {
			t.Errorf("error = %v", err)
		}
		return delivery.ClassOf(err) == delivery.UnknownOutcome // else it was not sent
	})
}

// Any service may answer at the address. No answer makes Put report a message as stored that is not, and errors repeat
// nothing of it.
func TestAnswersOfSomethingElse(t *testing.T) {
	t.Parallel()
	const echo, list = "Pr1vate", "<QueueMessagesList>"
	type row struct {
		status      int
		header, has string
		body        string
		class       delivery.Class
	}
	for name, c := range map[string]row{
		"200, a page":                  {200, "", "", "<html>" + echo, delivery.UnknownOutcome},
		"200, empty":                   {200, "", "", "", delivery.UnknownOutcome},
		"201, a page":                  {201, "", "", "<html>" + echo + "</html>", delivery.UnknownOutcome},
		"201, no message":              {201, "Content-Type", "application/xml", list + "</QueueMessagesList>", delivery.UnknownOutcome},
		"201, no id":                   {201, "Content-Type", "application/xml", list + "<QueueMessage></QueueMessage></QueueMessagesList>", delivery.UnknownOutcome},
		"201, cut off":                 {201, "Content-Length", "1000", list, delivery.UnknownOutcome},
		"a redirect":                   {307, "Location", "http://127.0.0.1:1/" + echo, "", delivery.UnknownOutcome},
		"403 with a code that is none": {403, "X-Ms-Error-Code", echo + " <x>", "", delivery.Unavailable},
		"404 of a web server":          {404, "", "", echo, delivery.Unavailable},
		"500":                          {500, "", "", echo, delivery.UnknownOutcome},
		"503, at once and again":       {503, "Retry-After", "3600", "", delivery.Unavailable},
		"nothing":                      {0, "", "", "", delivery.UnknownOutcome},
		"QueueNotFound for ever":       {404, "X-Ms-Error-Code", "QueueNotFound", "", delivery.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case c.status == 0:
					panic(http.ErrAbortHandler)
				case c.has == "QueueNotFound" && r.Method == http.MethodPut:
					w.WriteHeader(http.StatusCreated)
					return
				case c.header != "":
					w.Header().Set(c.header, c.has)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer s.Close()
			kept, err := at(t, s.URL).Put(wait.Context(t), message(1), 0)
			if err == nil || kept.ID != "" || strings.Contains(err.Error(), "Timeout") || delivery.ClassOf(err) != c.class {
				t.Fatalf("kept as %+v, error %v, want one of class %s", kept, err, c.class)
			}
			if strings.Contains(err.Error(), echo) || strings.Contains(err.Error(), s.URL) || outbox.Advice(err) == "" {
				t.Errorf("error = %v, advice %q", err, outbox.Advice(err))
			}
		})
	}
}

// If nothing listens at the address, the error says so.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, storagequeue.Config{})
	q, ctx, some := at(t, s.URL()), wait.Context(t), delivery.Kept{ID: "a", Receipt: "b"}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for what, call := range map[string]func() error{
		"put":     func() error { _, err := q.Put(ctx, message(1), 0); return err },
		"delete":  func() error { return q.Delete(ctx, some) },
		"show":    func() error { return q.Show(ctx, some, time.Minute) },
		"poison":  func() error { _, err := q.Poison(ctx, []byte("x"), "y"); return err },
		"receive": func() error { _, err := q.Receive(ctx, 1, time.Minute); return err },
		"count":   func() error { _, err := q.Count(ctx); return err },
		"list":    func() error { _, err := q.ListPoisoned(ctx); return err },
		"look":    func() error { _, _, err := q.Look(ctx); return err },
		"resend":  func() error { return q.Resend(ctx, func(outbox.Poisoned) {}) },
		"check":   func() error { return q.Check(ctx) },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), ": NoConnection") || delivery.ClassOf(err) == delivery.UnknownOutcome {
			t.Errorf("%s: %v", what, err)
		}
	}
}
