package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/handler/delivery"
	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/local/broker"
	"userrelay/local/storagequeue"
	"userrelay/test/must"
	"userrelay/test/queuetest"
)

// topicOf is a topic that returns its users with each read.
type topicOf func(tell func(source, key string)) error

func (f topicOf) CatchUp(_ context.Context, tell func(source, key string)) error { return f(tell) }

// portions are a topic that returns one portion of its users with each read, one user every 1.1 s, and after them an error.
func portions(source string, end error, portions ...[]string) topicOf {
	return func(tell func(source, key string)) error {
		if len(portions) == 0 {
			return end
		}
		for _, key := range portions[0] {
			tell(source, key)
			time.Sleep(1100 * time.Millisecond) //nolint:forbidigo // in virtual time
		}
		portions = portions[1:]
		return nil
	}
}

// theQueues show the given events.
type theQueues struct {
	waiting, poison outbox.Seen
	err             error
}

func (f *theQueues) Look(context.Context) (waiting, poison outbox.Seen, err error) {
	return f.waiting, f.poison, f.err
}

func events(source string, users ...string) (events []registration.Event) {
	for _, u := range users {
		events = append(events, registration.Event{UserID: u, Source: source})
	}
	return events
}

// reconcile runs -verify over an export.
func reconcile(t *testing.T, export io.Reader, v *verifier, o options) (*target, result) {
	t.Helper()
	var stdout, stderr strings.Builder
	f := &target{}
	o.rate, o.parallel, o.files = 1000, 1, []string{"-"}
	b := &backfill{options: o, tenant: "acme-dev", sent: &state{ids: map[string]bool{}}, stderr: &stderr, verifier: v}
	v.source, v.note = acme, b.tell
	if !o.dryRun {
		b.function = &function{url: functionURL, key: key, tenant: "acme-dev", client: world{"https://fn.example": f}.client()}
	}
	err := b.run(t.Context(), func(context.Context) iter.Seq2[user, error] { return exported(o.files, export) })
	code := b.end(err, &stdout)
	return f, result{code, stdout.String(), stderr.String()}
}

// TestVerify sends only the missing users, and lists where the others are. It prints the progress while it reads the topic.
func TestVerify(t *testing.T) {
	t.Parallel()
	users := userIDs(12)
	has := func(users ...[]string) topicOf { return portions(acme, nil, users...) }
	none := outbox.Seen{Whole: true}
	two := slices.Concat(events(acme, users[8], users[9]), events("urn:auth0:other", users[11]))
	one := events(acme, users[10])
	const poison = "       1  found in the poison queue; to resend them: bin/handler -poison resend"
	for name, c := range map[string]struct {
		topic  topicReader
		queues queues
		o      options
		code   int
		sent   []string
		named  int // users on stderr
		says   []string
	}{
		"everybody is there": {topic: has(append(users, "auth0|of-another-day")), says: []string{
			"      12  users to look for", "      13  users in the topic", "      12  found in the topic", "       0  missing", "       0  delivered",
			"5 users in the topic, 0 read, 0 delivered, 0 not delivered; 0.0 per second",
		}},
		"an outbox with more than it shows": {
			topic: has(users[:7]), queues: &theQueues{outbox.Seen{Events: two}, outbox.Seen{Whole: true, Events: one}, nil},
			code: 1, named: 5, says: []string{
				"       2  not in the topic, possibly in a queue", "       0  missing", "       0  delivered", "backfill: " + errUnclear.Error(),
				`not in the topic, possibly in a queue: "auth0|7"`, `not in the topic, possibly in a queue: "auth0|11"`, `in the outbox: "auth0|8"`,
			},
		},
		"a poison queue with more": {
			topic: has(users[:10]), queues: &theQueues{none, outbox.Seen{Events: one}, nil},
			code: 1, named: 2, says: []string{poison, "       1  not in the topic, possibly in a queue", "       0  delivered"},
		},
		"no outbox": {topic: has(users[:7], users[7:11]), sent: users[11:], named: 1, says: []string{
			"      11  users in the topic", "      11  found in the topic", "       1  missing", "       1  delivered",
		}},
		"of a time span": {
			topic: has(), o: options{from: day().Add(10 * time.Second), to: day().Add(11 * time.Second)}, sent: users[10:11], named: 1,
			says: []string{"      12  users read", "      11  created outside the time span", "       1  users to look for", "       1  missing"},
		},
		"the topic cannot be read": {topic: portions(acme, errors.New("no such topic")), code: 1, says: []string{"backfill: no such topic", "       0  users read"}},
		"the topic cannot be read again": {
			topic: portions(acme, errors.New("gone"), users[:11]), code: 1, says: []string{"backfill: gone", "       1  not checked"},
		},
		"the queues cannot be seen": {
			topic: has(), queues: &theQueues{err: errors.New("forbidden")},
			code: 1, says: []string{"backfill: look for users in the outbox: forbidden", "      12  not checked", "       0  delivered"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, r := reconcile(t, strings.NewReader(exportOf(12)), &verifier{topic: c.topic, queues: c.queues}, c.o)
				r.says(t, c.code, c.says...)
				f.got(t, c.sent...)
				if n := strings.Count(r.stderr, "auth0|"); n != c.named {
					t.Errorf("%d users are named, want %d:\n%s", n, c.named, r.stderr)
				}
			})
		})
	}
}

// TestVerifyStores reads a topic and queues with the function app's settings: of 12 users 7 are in the topic, two in the
// outbox, and one in the poison queue. The first user's record is more than an hour older than the time span, and the
// records of the last four are of another tenant.
func TestVerifyStores(t *testing.T) {
	t.Parallel()
	ctx, users := t.Context(), userIDs(12)
	kafka := must.Get[*broker.Broker](t)(broker.Start(ctx, "user-events", "", 0))
	t.Cleanup(func() { _ = kafka.Close() })
	client := must.Get[*kgo.Client](t)(kgo.NewClient(kgo.SeedBrokers(kafka.Address()), kgo.DefaultProduceTopic("user-events")))
	defer client.Close()
	for i, id := range users {
		at, source := day(), acme
		if i == 0 {
			at = day().Add(-61 * time.Minute)
		} else if i > 7 {
			source = "urn:auth0:another"
		}
		if err := client.ProduceSync(ctx, &kgo.Record{
			Timestamp: at, Key: []byte(id), Value: []byte("{}"), Headers: []kgo.RecordHeader{{Key: "ce_source", Value: []byte(source)}},
		}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	storage := queuetest.Start(t, storagequeue.Config{}).ConnectionString()
	queue := must.Get[*outbox.Queue](t)(outbox.New(outbox.Config{Account: must.Get[outbox.Account](t)(outbox.ParseConnectionString(storage))}))
	defer queue.Close()
	for i, id := range users[8:11] {
		kept := registration.Envelope{Queued: day(), Event: registration.Event{ID: id, UserID: id, Source: acme, Time: day()}}
		if i < 2 {
			must.Get[delivery.Kept](t)(queue.Put(ctx, kept, 0))
		} else {
			must.Get[delivery.Kept](t)(queue.Poison(ctx, kept.Encode(), "Kafka rejects the record as invalid"))
		}
	}

	f, env := &target{}, []string{"KAFKA_BROKERS=" + kafka.Address(), "AzureWebJobsStorage=" + storage}
	r := start(ctx, t, world{"https://fn.example": f}, env, exportOf(12), "-verify", "-from", "2026-11-21T00:00:00Z", "-to", "2026-11-22T00:00:00Z", "-")
	r.says(t, 1, "      12  users to look for", "       7  users in the topic", "       7  found in the topic",
		"       2  found in the outbox, which drains into the topic by itself",
		"       1  found in the poison queue; to resend them: bin/handler -poison resend", "       2  missing", "       2  delivered",
		`missing: "auth0|0", created 2026-11-21T00:00:00.000Z`, `in the outbox: "auth0|8"`, `in the outbox: "auth0|9"`,
		`in the poison queue, resend with bin/handler -poison resend: "auth0|10"`, `missing: "auth0|11", created 2026-11-21T00:00:11.000Z`)
	f.got(t, users[0], users[11])
	if n := strings.Count(r.stderr, "auth0|"); n != 5 {
		t.Errorf("%d users are named, want 5:\n%s", n, r.stderr)
	}
}

// TestMemory compares many users, in one array of an export, with little memory: the profiles of those that the topic
// does not have are kept for one batch, the others not at all. It is not parallel, because it measures the heap.
func TestMemory(t *testing.T) {
	const users, limit = 30_000, 24 << 20
	most := uint64(0)
	reader, writer := io.Pipe()
	go func() {
		buffered := bufio.NewWriterSize(writer, 64<<10)
		profile := strings.Repeat("x", 1000)
		_, err := buffered.WriteString("[")
		for i := 0; i < users && err == nil; i++ {
			_, err = fmt.Fprintf(buffered, `{"user_id":"auth0|%d","created_at":"2026-11-21T00:00:00.000Z","x":"%s"},`, i, profile)
			if i%5000 == 4999 {
				runtime.GC()
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
		}
		_ = writer.CloseWithError(errors.Join(err, buffered.Flush()))
	}()
	everySecond := topicOf(func(tell func(source, key string)) error {
		for i := 0; i < users; i += 2 {
			tell(acme, fmt.Sprintf("auth0|%d", i))
		}
		return nil
	})
	_, r := reconcile(t, reader, &verifier{topic: everySecond}, options{dryRun: true})
	r.says(t, 1, "   15000  found in the topic", "   15000  missing")
	if most > limit {
		t.Errorf("%d MiB on the heap, want at most %d", most>>20, limit>>20)
	}
}
