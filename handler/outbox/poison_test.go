package outbox_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"userrelay/handler/delivery"
	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/local/storagequeue"
	"userrelay/test/must"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// Messages that can be drained go back into the outbox, in whatever form the host poisoned them, with their profiles
// only if the current setting says so. The rest stay, each with a reason.
func TestPoison(t *testing.T) {
	t.Parallel()
	for name, profile := range map[string]bool{"id": false, "full": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			poison(t, profile)
		})
	}
}

func poison(t *testing.T, profile bool) {
	t.Helper()
	s, ctx := queuetest.Start(t, storagequeue.Config{}), wait.Context(t)
	account := must.Get[outbox.Account](t)(outbox.ParseConnectionString(s.ConnectionString()))
	q := newQueue(t, outbox.Config{Account: account, Profile: profile})
	if list, err := q.ListPoisoned(ctx); err != nil || len(list) != 0 {
		t.Fatalf("without a queue: %v, %v", list, err)
	}
	one, two := message(1), message(2)
	one.Event.Profile = []byte(`{"email":"jane@example.com"}`)
	for reason, m := range map[string][]byte{
		"Kafka rejects the record as invalid.": one.Encode(), "It cannot be read.": []byte("hello"),
		"lost for its length":  bytes.Repeat([]byte("x"), registration.MaxEnvelope),
		"of a later version":   bytes.Replace(message(3).Encode(), []byte(`version":1`), []byte(`version":2`), 1),
		"encoded by the host.": []byte(inBase64(two.Encode())), // with messageEncoding none
	} {
		if kept, err := q.Poison(ctx, m, reason); err != nil || kept.ID == "" {
			t.Fatal(err)
		}
	}
	for _, byHost := range []string{inBase64(two.Encode()), "no base64!"} {
		queuetest.Put(t, queuetest.Open(t, s.ConnectionString(), outbox.QueueName+"-poison"), byHost)
	}
	listed := func() (all []string) {
		t.Helper()
		for _, p := range must.Get[[]outbox.Poisoned](t)(q.ListPoisoned(ctx)) {
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
	drainable := []string{"e-1 Kafka rejects the record as invalid.", "e-2 ", "e-2 encoded by the host."}
	if got := listed(); !slices.Equal(got, slices.Concat(stays, drainable)) {
		t.Errorf("listed:\n%s", strings.Join(got, "\n"))
	}
	for round, want := range []int{3, 0} { // the remaining messages are visible again at once
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
	if !profile {
		one.Event = one.Event.IDOnly()
	}
	slices.Sort(again)
	if want := []string{string(one.Encode()), string(two.Encode()), string(two.Encode())}; !slices.Equal(again, want) {
		t.Errorf("in the outbox: %q", again)
	}
}

// Poisoned messages of another app that uses another Kafka stay, until somebody acts in the name of that app.
func TestResendOfAnotherApp(t *testing.T) {
	t.Parallel()
	s, ctx := queuetest.Start(t, storagequeue.Config{}), wait.Context(t)
	account := must.Get[outbox.Account](t)(outbox.ParseConnectionString(s.ConnectionString()))
	m := message(1)
	m.Origin = registration.Origin{App: "app-old", Topic: "users", Brokers: []string{"old:9092"}}
	writer := open(t, s.ConnectionString())
	must.Get[delivery.Kept](t)(writer.Poison(ctx, m.Encode(), "why"))
	for _, c := range []struct {
		app  string
		want error
	}{{"app", registration.ErrForeign}, {"app-old", nil}} {
		as := registration.Origin{App: c.app, Topic: "users", Brokers: []string{"kafka:9092"}}
		q := newQueue(t, outbox.Config{Account: account, Origin: as})
		if list, err := q.ListPoisoned(ctx); err != nil || len(list) != 1 || !errors.Is(list[0].Err, c.want) {
			t.Errorf("%s: listed %+v, %v", c.app, list, err)
		}
		if err := q.Resend(ctx, func(p outbox.Poisoned) {
			if p.Sent != (c.want == nil) {
				t.Errorf("%s: sent %v, %v", c.app, p.Sent, p.Err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		m.Origin = as
	}
	if got := take(t, writer); len(got) != 1 || string(got[0].Message) != string(m.Encode()) {
		t.Errorf("%d messages in the outbox, want the one of the app's new origin", len(got))
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
