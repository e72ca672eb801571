package relay_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

const guarantees = "../../docs/guarantees.md"

// Every row of the page that allows a copy makes exactly one here. The last two rows concern Kafka and its producer.
func TestCopies(t *testing.T) {
	t.Parallel()
	rows := map[string]func(t *testing.T, k *kafka, q *memory){
		"sent-again": func(t *testing.T, k *kafka, q *memory) {
			t.Helper()
			for range 2 { // an id of the caller's choice, at two instances
				if _, err := k.with(t, q).Deliver(t.Context(), event()); err != nil {
					t.Fatal(err)
				}
			}
		},
		"killed-late": func(t *testing.T, k *kafka, q *memory) {
			t.Helper()
			k.now(takes(3 * time.Second))
			r := k.with(t, q)
			if _, err := r.Deliver(t.Context(), event()); err != nil {
				t.Fatal(err)
			}
			r.Close(ended(t.Context()))
			<-time.After(2 * time.Minute) // Kafka has it, and the copy is seen
			k.now(takes(0))
			k.draining(t, q)
			<-time.After(time.Second)
		},
		"silent": func(t *testing.T, k *kafka, q *memory) {
			t.Helper()
			k.now(takes(time.Hour))
			r, _ := k.draining(t, q)
			if _, err := r.Deliver(t.Context(), event()); err != nil {
				t.Fatal(err)
			}
			k.now(takes(0))
			<-time.After(3 * time.Minute)
		},
		"drain-died": func(t *testing.T, k *kafka, q *memory) {
			t.Helper()
			q.add(queued().Encode(), 0)
			got, err := q.Receive(t.Context(), 1, time.Minute)
			if err != nil || k.with(t, q).Drain(t.Context(), got[0].Message) != nil {
				t.Fatal(err)
			}
			<-time.After(time.Minute) // nobody deletes it
			k.draining(t, q)
			<-time.After(time.Second)
		},
		"put-unknown": func(t *testing.T, k *kafka, q *memory) {
			t.Helper()
			k.now(func(registration.Record) (time.Duration, error) { return 0, fails(delivery.Unavailable) })
			q.after = func(string) error { return fails(delivery.UnknownOutcome) }
			r := k.with(t, q)
			if _, err := r.Deliver(t.Context(), event()); delivery.ClassOf(err) != delivery.UnknownOutcome {
				t.Fatal(err)
			}
			k.forget()
			k.now(takes(0))
			q.losing(nil)
			if out, err := r.Deliver(t.Context(), event()); err != nil || out.Replayed {
				t.Fatal(out, err)
			}
			k.draining(t, q)
			<-time.After(time.Second)
		},
		"not-deleted": func(t *testing.T, k *kafka, q *memory) {
			t.Helper()
			q.add(queued().Encode(), 0)
			back := time.Now().Add(3 * time.Minute)
			q.fault = func(op string, _ registration.Envelope) error {
				if op == "Delete" && time.Now().Before(back) {
					return errStorage
				}
				return nil
			}
			_, stop := k.draining(t, q)
			<-time.After(time.Second)
			stop()
			<-time.After(4 * time.Minute)
			k.draining(t, q) // another instance: the same one would know the message
			<-time.After(time.Second)
		},
	}
	for row, happens := range rows {
		t.Run(row, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k, q := instantly(0), &memory{}
				happens(t, k, q)
				if k.n() != 2 || q.len() != 0 {
					t.Errorf("%d records, %d messages left", k.n(), q.len())
				}
			})
		})
	}
	for line := range strings.Lines(page(t)) {
		name, ok := strings.CutPrefix(line, "| `")
		if name, _, _ = strings.Cut(name, "`"); ok && rows[name] == nil && name != "other-log" && name != "forgotten" {
			t.Errorf("the page has the row %s, and no test shows it", name)
		}
	}
}

func takes(d time.Duration) func(registration.Record) (time.Duration, error) {
	return func(registration.Record) (time.Duration, error) { return d, nil }
}

func page(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(guarantees)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The tests that the page names exist.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile("`((?:handler|test)/[a-z0-9/]+)\\.(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(page(t), -1)
	if len(named) < 20 {
		t.Errorf("the page names %d tests only", len(named))
	}
	for _, m := range named {
		files, err := filepath.Glob(filepath.Join("../..", m[1], "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(b), "\nfunc "+m[2]+"(")
		}
		if !found {
			t.Errorf("%s has no %s", m[1], m[2])
		}
	}
}

// After Close the relay reports nothing and waits for nothing, whatever arrives late.
func TestAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, q := instantly(time.Hour), &memory{}
		r := k.with(t, q)
		r.Close(context.Background())
		out, err := r.Deliver(t.Context(), event())
		if err != nil || out.Kind != relay.InOutbox || q.visible() != 0 {
			t.Errorf("%+v, %v; %d can be seen", out, err, q.visible())
		}
	})
}
