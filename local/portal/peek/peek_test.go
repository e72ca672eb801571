package peek_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"userrelay/local/portal"
	"userrelay/local/portal/peek"
	"userrelay/local/storagequeue"
	"userrelay/test/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLooks(t *testing.T) {
	t.Parallel()
	server, err := storagequeue.Start(storagequeue.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	t.Cleanup(func() {
		if !closed {
			_ = server.Close()
		}
	})
	connection := server.ConnectionString()
	q, err := peek.New(connection, "box", "box-poison")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)

	for _, look := range []func() (portal.QueueLook, error){
		func() (portal.QueueLook, error) { return q.Waiting(t.Context()) },
		func() (portal.QueueLook, error) { return q.Poisoned(t.Context()) },
	} {
		if got, err := look(); err != nil || got.Count != 0 || len(got.Messages) != 0 {
			t.Errorf("a queue that is not there: %+v, %v", got, err)
		}
	}

	box, poison := queuetest.Make(t, connection, "box"), queuetest.Make(t, connection, "box-poison")
	for _, text := range []string{"one", "two", "three"} {
		queuetest.Put(t, box, text)
	}
	queuetest.Put(t, poison, "bad")
	if _, err := box.DequeueMessage(t.Context(), nil); err != nil { // somebody works on it
		t.Fatal(err)
	}
	for range 2 { // a look takes nothing out
		got, err := q.Waiting(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"two", "three"}, texts(t, got)); d != "" || got.Count != 3 {
			t.Errorf("%d messages (-want +got)\n%s", got.Count, d)
		}
	}
	if got, err := q.Poisoned(t.Context()); err != nil || got.Count != 1 || got.Messages[0].Text != "bad" {
		t.Errorf("poisoned %+v, %v", got, err)
	}
	for range 40 {
		queuetest.Put(t, box, "more")
	}
	if got, err := q.Waiting(t.Context()); err != nil || got.Count != 43 || len(got.Messages) != 32 {
		t.Errorf("%d messages, %d seen, %v", got.Count, len(got.Messages), err)
	}

	closed = true
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Waiting(t.Context()); err == nil || err.Error() != "the queue service cannot be reached" {
		t.Errorf("without a service: %v", err)
	}
}

func texts(t *testing.T, l portal.QueueLook) []string {
	t.Helper()
	var all []string
	for _, m := range l.Messages {
		if m.ID == "" || m.Inserted.IsZero() {
			t.Errorf("%+v has no id or no time", m)
		}
		all = append(all, m.Text)
	}
	return all
}

func TestWrongAccount(t *testing.T) {
	t.Parallel()
	for _, connection := range []string{"", "secret", "AccountName=a;AccountKey=secret"} {
		if _, err := peek.New(connection, "box", "box-poison"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", connection, err)
		}
	}
	server := queuetest.Start(t, storagequeue.Config{})
	before, _, _ := strings.Cut(server.ConnectionString(), "AccountKey=")
	_, after, _ := strings.Cut(server.ConnectionString(), "==;")
	q, err := peek.New(before+"AccountKey=c2VjcmV0;"+after, "box", "box-poison")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	if _, err := q.Waiting(t.Context()); err == nil || err.Error() != "the queue service answered 403 AuthenticationFailed" {
		t.Errorf("another key: %v", err)
	}
}
