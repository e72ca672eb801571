package outbox_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/local/storagequeue"
	"userrelay/test/must"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// Messages that can be drained go back into the outbox; the rest stay, each with a reason.
func TestPoison(t *testing.T) {
	t.Parallel()
	s, q, ctx := started(t)
	if list, err := q.ListPoisoned(ctx); err != nil || len(list) != 0 {
		t.Fatalf("without a queue: %v, %v", list, err)
	}
	large := bytes.Repeat([]byte("x"), registration.MaxEnvelope)
	later := bytes.Replace(message(3).Encode(), []byte(`version":1`), []byte(`version":2`), 1)
	for reason, m := range map[string][]byte{
		"Kafka rejects the record as invalid.": message(1).Encode(), "It cannot be read.": []byte("hello"),
		"lost for its length": large, "of a later version": later,
	} {
		if kept, err := q.Poison(ctx, m, reason); err != nil || kept.ID == "" {
			t.Fatal(err)
		}
	}
	poison := queuetest.Open(t, s.ConnectionString(), outbox.QueueName+"-poison")
	for _, byHost := range []string{inBase64(message(2).Encode()), "no base64!"} {
		queuetest.Put(t, poison, byHost)
	}
	listed := func() (all []string) {
		t.Helper()
		for _, p := range must.Get[[]outbox.Poisoned](t)(q.ListPoisoned(wait.Context(t))) {
			text := p.Message.Event.ID + " " + p.Reason
			if p.Err != nil {
				text += " " + p.Err.Error()
			}
			all = append(all, text)
			if p.ID == "" || p.Since.IsZero() || p.Sent {
				t.Errorf("listed: %+v", p)
			}
		}
		slices.Sort(all)
		return all
	}
	const unread = "body: must be a CloudEvent in JSON, as this program writes it into its outbox"
	stays := []string{
		"  " + unread, "  message: must be base64", " It cannot be read. " + unread, " of a later version " + registration.ErrNewerVersion.Error(),
	}
	if got := listed(); !slices.Equal(got, append(slices.Clone(stays), "e-1 Kafka rejects the record as invalid.", "e-2 ")) {
		t.Errorf("listed:\n%s", strings.Join(got, "\n"))
	}
	for round, want := range []int{2, 0} { // the remaining messages are visible again at once
		sent := 0
		if err := q.Resend(ctx, func(p outbox.Poisoned) {
			if p.Sent != (p.Err == nil) {
				t.Errorf("sent %t, error %v", p.Sent, p.Err)
			}
			if p.Sent {
				sent++
			}
		}); err != nil || sent != want {
			t.Fatalf("round %d: %d sent, %v", round, sent, err)
		}
		if got := listed(); !slices.Equal(got, stays) {
			t.Errorf("what stays is not as it was:\n%s", strings.Join(got, "\n"))
		}
	}
	var again []string
	for _, m := range take(t, q) {
		again = append(again, string(m.Message))
	}
	slices.Sort(again)
	if !slices.Equal(again, []string{string(message(1).Encode()), string(message(2).Encode())}) {
		t.Errorf("in the outbox: %q", again)
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
			account := must.Get[outbox.Account](t)(outbox.ParseConnectionString(s.ConnectionString()))
			q := newQueue(t, outbox.Config{Account: account, Profile: profile})
			ctx, m := wait.Context(t), message(1)
			m.Event.Profile = []byte(`{"email":"jane@example.com"}`)
			// A host with messageEncoding none delivers base64 of base64; the current and the previous handler poison
			// it in that form.
			for _, form := range [][]byte{m.Encode(), []byte(inBase64(m.Encode()))} {
				if _, err := q.Poison(ctx, form, "It cannot be read."); err != nil {
					t.Fatal(err)
				}
			}
			if err := q.Resend(ctx, func(outbox.Poisoned) {}); err != nil {
				t.Fatal(err)
			}
			got := take(t, q)
			for _, g := range got {
				e, err := registration.ParseEnvelope(g.Message)
				if err != nil || e.Event.UserID != m.Event.UserID || (e.Event.Profile != nil) != profile || e.Event.ProfileOmitted {
					t.Errorf("in the outbox: %+v, %v", e.Event, err)
				}
			}
			if len(got) != 2 {
				t.Errorf("%d messages in the outbox", len(got))
			}
		})
	}
}

func FuzzPoisoned(f *testing.F) {
	f.Add([]byte(`{"reason":"x","poisonedtime":"2022-01-12T01:23:26Z","message":"aGVsbG8="}`))
	f.Add(message(1).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p := outbox.ReadPoisoned(inBase64(b))
		if p.Err == nil && p.Message.Event.ID == "" {
			t.Errorf("of %q came %+v", b, p)
		}
	})
}
