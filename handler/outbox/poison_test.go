package outbox_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/local/storagequeue"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// Messages that can be drained go back into the outbox; the rest stay, each with a reason.
func TestPoison(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, storagequeue.Config{})
	q := open(t, s.ConnectionString())
	if list, err := q.ListPoisoned(wait.Context(t)); err != nil || len(list) != 0 {
		t.Fatalf("without a queue: %v, %v", list, err)
	}
	large := bytes.Repeat([]byte("x"), registration.MaxEnvelope)
	later := bytes.Replace(message(3).Encode(), []byte(`version":1`), []byte(`version":2`), 1)
	for _, m := range []struct {
		message []byte
		reason  string
	}{{message(1).Encode(), "Kafka rejects the record as invalid."}, {[]byte("hello"), "It cannot be read."}, {large, "lost for its length"}, {later, "of a later version"}} {
		if kept, err := q.Poison(wait.Context(t), m.message, m.reason); err != nil || kept.ID == "" {
			t.Fatal(err)
		}
	}
	poison := queuetest.Open(t, s.ConnectionString(), outbox.QueueName+"-poison")
	for _, byHost := range []string{base64.StdEncoding.EncodeToString(message(2).Encode()), "no base64!"} {
		if _, err := poison.EnqueueMessage(wait.Context(t), byHost, nil); err != nil {
			t.Fatal(err)
		}
	}

	list, err := q.ListPoisoned(wait.Context(t))
	if err != nil || len(list) != 6 {
		t.Fatalf("%d messages, error %v", len(list), err)
	}
	describe := func(p outbox.Poisoned) string {
		text := p.Message.Event.ID + " " + p.Reason
		if p.Err != nil {
			text += " " + p.Err.Error()
		}
		return text
	}
	var got []string
	for _, p := range list {
		got = append(got, describe(p))
		if p.ID == "" || p.Since.IsZero() || p.Sent {
			t.Errorf("listed: %+v", p)
		}
	}
	const unread = "body: must be a CloudEvent in JSON, as this program writes it into its outbox"
	want := []string{
		"e-1 Kafka rejects the record as invalid.", " It cannot be read. " + unread, "  " + unread,
		" of a later version " + registration.ErrNewerVersion.Error(), "e-2 ", "  message: must be base64",
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	for round, sent := range []int{2, 0} { // the remaining messages are visible again at once
		told := 0
		if err := q.Resend(wait.Context(t), func(p outbox.Poisoned) {
			if p.Sent != (p.Err == nil) {
				t.Errorf("sent %t, error %v", p.Sent, p.Err)
			}
			if p.Sent {
				told++
			}
		}); err != nil {
			t.Fatal(err)
		}
		if left := queuetest.Count(t, poison); told != sent || left != 4 {
			t.Errorf("round %d: %d sent, %d left", round, told, left)
		}
	}
	again := take(t, queuetest.Open(t, s.ConnectionString(), outbox.QueueName))
	if len(again) != 2 || text(t, again[0]) != string(message(1).Encode()) || text(t, again[1]) != string(message(2).Encode()) {
		t.Errorf("%d messages in the outbox", len(again))
	}
	list, err = q.ListPoisoned(wait.Context(t))
	if err != nil || len(list) != 4 || !strings.HasPrefix(list[0].Reason, "It cannot be read.") {
		t.Errorf("what stays is not as it was: %+v, %v", list, err)
	}
	if !errors.Is(list[2].Err, registration.ErrNewerVersion) {
		t.Errorf("of a later version: %v", list[2].Err)
	}
}

func FuzzPoisoned(f *testing.F) {
	f.Add([]byte(`{"reason":"x","poisonedtime":"2022-01-12T01:23:26Z","message":"aGVsbG8="}`))
	f.Add(message(1).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p := outbox.ReadPoisoned(base64.StdEncoding.EncodeToString(b))
		if p.Err == nil && p.Message.Event.ID == "" {
			t.Errorf("of %q came %+v", b, p)
		}
	})
}
