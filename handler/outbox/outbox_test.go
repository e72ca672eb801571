package outbox_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/identity"
	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/local/storagequeue"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// A message stays in the queue unchanged and without expiry. A missing queue is created.
func TestPut(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, storagequeue.Config{})
	q := open(t, s.ConnectionString())
	m := message(1)
	m.Event.Profile = []byte(`{"a":"` + strings.Repeat("x", registration.MaxEnvelope) + `"}`)
	kept, err := q.Put(wait.Context(t), m, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := take(t, queuetest.Open(t, s.ConnectionString(), outbox.QueueName))
	if len(got) != 1 || text(t, got[0]) != string(m.Encode()) {
		t.Fatalf("%d messages in the queue", len(got))
	}
	if kept.Queue != outbox.QueueName || kept.ID != *got[0].MessageID || kept.Receipt == "" {
		t.Errorf("kept as %+v, the queue has %s", kept, *got[0].MessageID)
	}
	if never := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC); got[0].ExpirationTime.Before(never) {
		t.Errorf("it expires on %v", got[0].ExpirationTime)
	}
}

// A hidden message can be deleted or made visible, but not after somebody else has received it.
func TestHidden(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, storagequeue.Config{})
	q, other := open(t, s.ConnectionString()), queuetest.Open(t, s.ConnectionString(), outbox.QueueName)
	gone, err := q.Put(wait.Context(t), message(1), 90*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := q.Put(wait.Context(t), message(2), 90*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if got := take(t, other); len(got) != 0 || queuetest.Count(t, other) != 2 {
		t.Errorf("%d messages can be seen of %d, want none of 2", len(got), queuetest.Count(t, other))
	}
	if err := q.Delete(wait.Context(t), gone); err != nil {
		t.Error(err)
	}
	if err := q.Show(wait.Context(t), shown, 0); err != nil {
		t.Error(err)
	}
	got := take(t, other)
	if len(got) != 1 || text(t, got[0]) != string(message(2).Encode()) {
		t.Fatalf("%d messages can be seen, want the second one as it was", len(got))
	}
	if err := q.Delete(wait.Context(t), shown); !errors.Is(err, delivery.ErrSeen) {
		t.Error("a message that somebody has is deleted")
	}
	if err := q.Show(wait.Context(t), shown, 0); !errors.Is(err, delivery.ErrSeen) {
		t.Error("a message that somebody has is shown")
	}
	if err := q.Delete(wait.Context(t), gone); !errors.Is(err, delivery.ErrSeen) || !strings.Contains(err.Error(), "MessageNotFound") {
		t.Errorf("deleted a second time: %v", err)
	}
}

func TestPutByMany(t *testing.T) {
	t.Parallel()
	const writers, each = 32, 20
	s := queuetest.Start(t, storagequeue.Config{})
	q := open(t, s.ConnectionString())
	ctx := wait.Context(t)
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for i := range each {
				if _, err := q.Put(ctx, message(i), 0); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if n := queuetest.Count(t, queuetest.Open(t, s.ConnectionString(), outbox.QueueName)); n != writers*each {
		t.Errorf("%d messages, want %d", n, writers*each)
	}
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, storagequeue.Config{})
	q := open(t, s.ConnectionString())
	for range 2 { // the second time they are there
		if err := q.Prepare(wait.Context(t)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{outbox.QueueName, outbox.QueueName + "-poison"} {
		if n := queuetest.Count(t, queuetest.Open(t, s.ConnectionString(), name)); n != 0 {
			t.Errorf("%s has %d messages", name, n)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, storagequeue.Config{})
	q := open(t, s.ConnectionString())
	for range 2 {
		if err := q.Check(wait.Context(t)); err != nil {
			t.Fatal(err)
		}
	}
	if n := queuetest.Count(t, queuetest.Open(t, s.ConnectionString(), outbox.QueueName)); n != 0 {
		t.Errorf("the check has left %d messages", n)
	}
}

func TestByIdentity(t *testing.T) {
	t.Parallel()
	const audience = "https://storage.azure.com"
	s, client := secured(t)
	account, err := outbox.AccountAt(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ token, code string }{
		"the right token":     {bearer(audience, time.Now().Add(time.Hour)), ""},
		"of another audience": {bearer("https://vault.azure.net", time.Now().Add(time.Hour)), "AuthenticationFailed"},
		"expired":             {bearer(audience, time.Now().Add(-time.Minute)), "AuthenticationFailed"},
		"no token at all":     {"Pr1vate", "AuthenticationFailed"},
		"no identity":         {"", "NoToken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQueue(t, outbox.Config{Account: account, Tokens: tokens(c.token), Client: client})
			err := q.Prepare(wait.Context(t))
			if err == nil {
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

// Prepare waits for a slow token; a registration does not.
func TestSlowIdentity(t *testing.T) {
	t.Parallel()
	s, client := secured(t)
	account, err := outbox.AccountAt(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	come := make(chan struct{})
	q := newQueue(t, outbox.Config{Account: account, Client: client, Tokens: identity.NewTokens(func(ctx context.Context) (string, time.Time, error) {
		select {
		case <-come:
			return bearer("https://storage.azure.com", time.Now().Add(time.Hour)), time.Now().Add(time.Hour), nil
		case <-ctx.Done():
			return "", time.Time{}, ctx.Err()
		}
	})})
	for range 3 {
		_, err := q.Put(t.Context(), message(1), 0) // at once: its context does not end
		if delivery.ClassOf(err) != delivery.Unavailable || !strings.Contains(err.Error(), "NoToken") {
			t.Errorf("without a token: %v", err)
		}
	}
	prepared := make(chan error, 1)
	go func() { prepared <- q.Prepare(wait.Context(t)) }()
	close(come)
	if err := <-prepared; err != nil {
		t.Fatal(err)
	}
	if _, err := q.Put(wait.Context(t), message(1), 0); err != nil {
		t.Error(err)
	}
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, storagequeue.Config{})
	q := open(t, "AccountName=devstoreaccount1;AccountKey="+key+";QueueEndpoint="+s.URL())
	_, err := q.Put(wait.Context(t), message(1), 0)
	if err == nil || !strings.Contains(err.Error(), "AuthenticationFailed") || !strings.Contains(outbox.Advice(err), "AccountKey") {
		t.Errorf("error = %v, advice %q", err, outbox.Advice(err))
	}
}

// Put returns when its time is up.
func TestPutInTime(t *testing.T) {
	t.Parallel()
	q := open(t, "AccountName=abc;AccountKey="+key+";QueueEndpoint="+silent(t))
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
