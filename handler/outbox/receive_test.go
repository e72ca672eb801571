package outbox_test

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/local/storagequeue"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// A received message equals the one that was put. It is received again until it is deleted, and is hidden from others
// in between.
func TestReceive(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, storagequeue.Config{})
	q := open(t, s.ConnectionString())
	ctx := wait.Context(t)
	if got, err := q.Receive(ctx, 32, time.Minute); len(got) != 0 || err != nil {
		t.Errorf("of no queue: %v, %v", got, err)
	}
	if n, err := q.Count(ctx); n != 0 || err != nil {
		t.Errorf("no queue has %d messages: %v", n, err)
	}
	for i := range 40 {
		if _, err := q.Put(ctx, message(i), 0); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]delivery.Received{}
	for _, want := range []int{32, 8, 0} {
		got, err := q.Receive(ctx, 1000, time.Minute)
		if err != nil || len(got) != want {
			t.Fatalf("%d messages, want %d: %v", len(got), want, err)
		}
		for _, m := range got {
			if _, err := registration.ParseEnvelope(m.Message); err != nil || seen[m.ID].ID != "" || m.Until.IsZero() || m.Tries != 1 || m.Queue != outbox.QueueName {
				t.Errorf("%+v: %v", m, err)
			}
			seen[m.ID] = m
		}
	}
	if n, err := q.Count(ctx); n != 40 || err != nil {
		t.Errorf("%d messages, want 40 that are hidden: %v", n, err)
	}
	for _, m := range seen {
		if err := q.Delete(ctx, m.Kept); err != nil {
			t.Error(err)
		}
	}
}

// A message that is made visible again is unchanged, and its attempts are counted.
func TestShownAgain(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, storagequeue.Config{})
	q := open(t, s.ConnectionString())
	ctx := wait.Context(t)
	if _, err := q.Put(ctx, message(1), 0); err != nil {
		t.Fatal(err)
	}
	for tries := range int64(3) {
		got, err := q.Receive(ctx, 32, time.Minute)
		if err != nil || len(got) != 1 || got[0].Tries != tries+1 || string(got[0].Message) != string(message(1).Encode()) {
			t.Fatalf("%d: %+v, %v", tries, got, err)
		}
		if err := q.Show(ctx, got[0].Kept, 0); err != nil {
			t.Fatal(err)
		}
		if err := q.Show(ctx, got[0].Kept, 0); !errors.Is(err, delivery.ErrSeen) {
			t.Errorf("shown a second time: %v", err)
		}
	}
}

// A message from another program is returned unchanged: the reader decides whether it is valid.
func TestReceiveForeign(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, storagequeue.Config{})
	q := open(t, s.ConnectionString())
	ctx := wait.Context(t)
	if err := q.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	foreign := queuetest.Open(t, s.ConnectionString(), outbox.QueueName)
	twice := base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString(message(1).Encode())))
	want := map[string]bool{"hello, world": true, `{"a":1}`: true, base64.StdEncoding.EncodeToString(message(1).Encode()): true}
	for _, text := range []string{"hello, world", `{"a":1}`, twice} {
		if _, err := foreign.EnqueueMessage(ctx, text, nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := q.Receive(ctx, 32, time.Minute)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	for _, m := range got {
		if !want[string(m.Message)] {
			t.Errorf("received %q", m.Message)
		}
	}
}

// A message that goes back into the outbox keeps its profile only if the current setting says so, and is readable in
// whatever form the host poisoned it.
func TestResendWithAndWithoutProfile(t *testing.T) {
	t.Parallel()
	for name, profile := range map[string]bool{"id": false, "full": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := queuetest.Start(t, storagequeue.Config{})
			a, err := outbox.ParseConnectionString(s.ConnectionString())
			if err != nil {
				t.Fatal(err)
			}
			q := newQueue(t, outbox.Config{Account: a, Profile: profile})
			ctx := wait.Context(t)
			m := message(1)
			m.Event.Profile = []byte(`{"email":"jane@example.com"}`)
			if err := q.Prepare(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := q.Poison(ctx, m.Encode(), "Kafka rejects the record as invalid."); err != nil {
				t.Fatal(err)
			}
			// A host with messageEncoding none delivers base64 of base64; the current and the previous handler poison
			// it in that form.
			twice := []byte(base64.StdEncoding.EncodeToString(m.Encode()))
			if _, err := q.Poison(ctx, twice, "It cannot be read."); err != nil {
				t.Fatal(err)
			}
			sent := 0
			if err := q.Resend(ctx, func(p outbox.Poisoned) {
				if p.Sent {
					sent++
				}
			}); err != nil || sent != 2 {
				t.Fatalf("%d sent again, error %v", sent, err)
			}
			got, err := q.Receive(ctx, 32, time.Minute)
			if err != nil || len(got) != 2 {
				t.Fatalf("%d messages, %v", len(got), err)
			}
			for _, g := range got {
				e, err := registration.ParseEnvelope(g.Message)
				if err != nil || e.Event.UserID != m.Event.UserID || (e.Event.Profile != nil) != profile || e.Event.ProfileOmitted {
					t.Errorf("in the outbox: %+v, %v", e.Event, err)
				}
			}
		})
	}
}
