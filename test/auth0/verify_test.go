package auth0

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/test/wait"
)

// TestVerify compares 100,000 Auth0 users with a topic that lacks 137 of them: 15 wait in the outbox, 25 are in the
// poison queue, and the other 97 are sent. No user is missing after the handler has drained the outbox and the poison
// queue was resent.
func TestVerify(t *testing.T) {
	t.Parallel()
	const all, waiting, poisoned, lost = 100_000, 15, 25, 97
	folder, data, id := t.TempDir(), t.TempDir(), func(i int) string { return fmt.Sprintf("auth0|%06d", i) }
	var export strings.Builder
	for i := range all {
		_, _ = fmt.Fprintf(&export, `{"user_id":%q,"created_at":%q}`+"\n", id(i), createdAt(i)) // a builder takes all
	}
	write(t, filepath.Join(folder, "users.json"), []byte(export.String()))
	verify := func(s *stack, args ...string) outcome {
		env := []string{"AUTH0_TENANT=acme-dev", "FUNCTION_URL=" + s.URL, "FUNCTION_KEY=" + s.Key, "KAFKA_BROKERS=" + s.Brokers, storageOf(s)}
		return execute(t, folder, env, backfillBinary, append(args, "-verify", "-rate", "1000", "users.json")...)
	}

	// No handler drains the outbox: its users stay there while the others are sent.
	s := startStack(t, "-data", data, "-env", "OUTBOX=off", "-env", "AzureWebJobs.DrainOutbox.Disabled=true")
	produceUsers(t, s.Brokers, id, waiting+poisoned+lost, all)
	keepUsers(t, s.Outbox.ConnectionString, id, waiting, poisoned)
	done := verify(s)
	says(t, done, 1,
		"  100000  users in Auth0, of those that were read", "   99863  users in the topic", "   99863  in both",
		"      15  in Auth0 and in the outbox, from where they get into the topic by themselves",
		"      25  in Auth0 and in the poison queue: bin/handler -poison resend", "      97  missing", "      97  delivered", "       0  not delivered")
	for what, count := range map[string]int{
		"waits in the outbox: ": waiting, "in the poison queue, bin/handler -poison resend sends it again: ": poisoned, "missing: ": lost,
	} {
		if n := strings.Count(done.stderr, what); n != count {
			t.Errorf("%q: %d users are named, want %d", what, n, count)
		}
	}
	s.Stop()

	// The suggested command and a drain deliver the others.
	s = startStack(t, "-data", data)
	handler, err := filepath.Abs(filepath.Join(root, "bin", "handler"))
	if err != nil {
		t.Fatal(err)
	}
	resend := execute(t, folder, []string{"KAFKA_BROKERS=" + s.Brokers, storageOf(s)}, handler, "-poison", "resend")
	if resend.code != 0 {
		t.Fatalf("exit code %d\n%s", resend.code, resend)
	}
	wait.For(t, "nobody is missing", func() bool {
		done = verify(s, "-dry-run")
		return done.code == 0 && strings.Contains(done.stdout, "  100000  in both\n")
	})
	says(t, done, 0, "  100000  users in the topic", "  100000  in both", "       0  missing")
}

func storageOf(s *stack) string { return "AzureWebJobsStorage=" + s.Outbox.ConnectionString }

func createdAt(i int) string {
	return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Millisecond).Format("2006-01-02T15:04:05.000Z")
}

// produceUsers writes the records of the users from one number to another, as the handler does, and some of another tenant.
func produceUsers(t *testing.T, address string, id func(int) string, from, to int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range to {
		source := "urn:auth0:acme-dev"
		if i < from {
			source = "urn:auth0:another"
		}
		client.Produce(t.Context(), &kgo.Record{
			Key: []byte(id(i)), Value: []byte(`{"userId":"` + id(i) + `"}`), Headers: []kgo.RecordHeader{{Key: "ce_source", Value: []byte(source)}},
		}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// keepUsers puts the first users into the outbox and the next into the poison queue.
func keepUsers(t *testing.T, connection string, id func(int) string, waiting, poisoned int) {
	t.Helper()
	account, err := outbox.ParseConnectionString(connection)
	if err != nil {
		t.Fatal(err)
	}
	queue, err := outbox.New(outbox.Config{Account: account})
	if err != nil {
		t.Fatal(err)
	}
	defer queue.Close()
	for i := range waiting + poisoned {
		kept := registration.Envelope{Queued: time.Now(), Event: registration.Event{
			ID: registration.DeriveID("acme-dev", id(i), createdAt(i)), UserID: id(i), Source: "urn:auth0:acme-dev", Time: time.Now(),
		}}
		if i < waiting {
			_, err = queue.Put(t.Context(), kept, 0)
		} else {
			_, err = queue.Poison(t.Context(), kept.Encode(), "Kafka rejects the record as invalid")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// says checks the exit code and that the output has these lines.
func says(t *testing.T, done outcome, code int, lines ...string) {
	t.Helper()
	if done.code != code {
		t.Errorf("got exit code %d, want %d\n%s", done.code, code, done.stdout)
	}
	for _, line := range lines {
		if !strings.Contains(done.String(), line+"\n") {
			t.Errorf("the output does not say %q:\n%s", line, done.stdout)
		}
	}
}
