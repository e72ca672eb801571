package outbox_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/local/storagequeue"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// Poisoned messages of another app that uses another Kafka stay, until somebody acts in the name of that app.
func TestResendOfAnotherApp(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, storagequeue.Config{})
	a, err := outbox.ParseConnectionString(s.ConnectionString())
	if err != nil {
		t.Fatal(err)
	}
	now := registration.Origin{App: "app", Topic: "users", Brokers: []string{"kafka:9092"}}
	replaced := now
	replaced.App = "app-old"
	m := message(1)
	m.Origin = registration.Origin{App: "app-old", Topic: "users", Brokers: []string{"old:9092"}}
	for name, c := range map[string]struct {
		as   registration.Origin
		want error
	}{"another app": {now, registration.ErrForeign}, "in its name": {replaced, nil}} {
		q := newQueue(t, outbox.Config{Account: a, Origin: c.as})
		if _, err := q.Poison(wait.Context(t), m.Encode(), "why"); err != nil {
			t.Fatal(err)
		}
		list, err := q.ListPoisoned(wait.Context(t))
		if err != nil || len(list) == 0 || !errors.Is(list[0].Err, c.want) {
			t.Errorf("%s: listed %+v, %v", name, list, err)
		}
		if err := q.Resend(wait.Context(t), func(p outbox.Poisoned) {
			if p.Sent != (c.want == nil) {
				t.Errorf("%s: sent %v, %v", name, p.Sent, p.Err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	again, err := registration.ParseEnvelope(take(t, newQueue(t, outbox.Config{Account: a}))[0].Message)
	if diff := cmp.Diff(replaced, again.Origin); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
