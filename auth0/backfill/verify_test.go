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

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/outbox"
	"userrelay/handler/registration"
)

// theTopic is a topic that returns a portion of its users with each read.
type theTopic struct {
	portions [][]string
	source   string
	err      error
}

func (f *theTopic) CatchUp(_ context.Context, tell func(source, key string)) error {
	if len(f.portions) == 0 {
		return f.err
	}
	for _, key := range f.portions[0] {
		tell(f.source, key)
	}
	f.portions = f.portions[1:]
	return nil
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

const acme = "urn:auth0:acme-dev"

// reconcile runs -verify over an export.
func reconcile(tb testing.TB, export io.Reader, v *verifier, o options) (*target, result) {
	tb.Helper()
	var stdout, stderr strings.Builder
	f := &target{}
	o.verify, o.rate, o.parallel, o.files = true, 1000, 4, []string{"-"}
	b := &backfill{options: o, tenant: "acme-dev", sent: &state{ids: map[string]bool{}}, stderr: &stderr, verifier: v}
	v.source, v.note = acme, b.tell
	if !o.dryRun {
		b.function = &function{url: functionURL, key: key, tenant: "acme-dev", client: world{"https://fn.example": f}.client()}
	}
	err := b.run(tb.Context(), func(context.Context) iter.Seq2[user, error] { return exported(o.files, export) })
	code := b.end(err, &stdout)
	return f, result{code, stdout.String(), stderr.String()}
}

// TestVerify sends only the missing users, and lists where the others are.
func TestVerify(t *testing.T) {
	t.Parallel()
	users := userIDs(12)
	whole := outbox.Seen{Whole: true}
	two := outbox.Seen{Whole: true, Events: slices.Concat(events(acme, users[8], users[9]), events("urn:auth0:other", users[11]))}
	one := outbox.Seen{Whole: true, Events: events(acme, users[10])}
	for name, c := range map[string]struct {
		v      *verifier
		o      options
		code   int
		sent   []string
		says   []string
		silent bool // nobody is named
	}{
		"everybody is there": {
			v: &verifier{topic: &theTopic{source: acme, portions: [][]string{append(users, "auth0|of-another-day")}}}, silent: true,
			says: []string{"      12  users in Auth0, of those that were read", "      13  users in the topic", "      12  in both", "       0  missing", "       0  delivered"},
		},
		"in every place": {
			v:    &verifier{topic: &theTopic{source: acme, portions: [][]string{users[:7], {users[7]}}}, queues: &theQueues{waiting: two, poison: one}},
			code: 1, sent: users[11:],
			says: []string{
				"      12  users in Auth0, of those that were read", "       8  users in the topic", "       8  in both",
				"       2  in Auth0 and in the outbox, from where they get into the topic by themselves",
				"       1  in Auth0 and in the poison queue: bin/handler -poison resend", "       1  missing", "       1  delivered",
				`waits in the outbox: "auth0|8"`, `waits in the outbox: "auth0|9"`,
				`in the poison queue, bin/handler -poison resend sends it again: "auth0|10"`, `missing: "auth0|11", created 2026-11-21T00:00:11.000Z`,
			},
		},
		"of another tenant": {
			v:    &verifier{topic: &theTopic{source: "urn:auth0:other", portions: [][]string{users}}, queues: &theQueues{waiting: whole, poison: whole}},
			sent: users, says: []string{"       0  users in the topic", "       0  in both", "      12  missing", "      12  delivered"},
		},
		"a queue with more than it shows": {
			v:    &verifier{topic: &theTopic{source: acme, portions: [][]string{users[:7]}}, queues: &theQueues{waiting: outbox.Seen{Events: two.Events}, poison: one}},
			code: 1,
			says: []string{
				"       2  in Auth0, perhaps in a queue", "       0  missing", "       0  delivered", "backfill: " + errUnclear.Error(),
				`not in the topic, perhaps in a queue: "auth0|7"`, `not in the topic, perhaps in a queue: "auth0|11"`, `waits in the outbox: "auth0|8"`,
			},
		},
		"a poison queue with more": {
			v:    &verifier{topic: &theTopic{source: acme, portions: [][]string{users[:10]}}, queues: &theQueues{waiting: whole, poison: outbox.Seen{Events: one.Events}}},
			code: 1, says: []string{"       1  in Auth0 and in the poison queue: bin/handler -poison resend", "       1  in Auth0, perhaps in a queue", "       0  delivered"},
		},
		"no outbox": {
			v:    &verifier{topic: &theTopic{source: acme, portions: [][]string{users[:11]}}},
			sent: users[11:], says: []string{"       1  missing", "       1  delivered"},
		},
		"a look": {
			v: &verifier{topic: &theTopic{source: acme, portions: [][]string{users[:11]}}}, o: options{dryRun: true},
			code: 1, says: []string{"       1  missing", `missing: "auth0|11", created 2026-11-21T00:00:11.000Z`},
		},
		"of a time span": {
			v: &verifier{topic: &theTopic{source: acme}}, o: options{from: day().Add(10 * time.Second), to: day().Add(11 * time.Second)},
			sent: users[10:11], says: []string{"      12  users read", "      11  created outside the time span", "       1  users in Auth0, of those that were read", "       1  missing"},
		},
		"the topic cannot be read": {
			v: &verifier{topic: &theTopic{err: errors.New("no such topic")}}, silent: true,
			code: 1, says: []string{"backfill: no such topic", "       0  users read"},
		},
		"the topic cannot be read again": {
			v:    &verifier{topic: &theTopic{source: acme, portions: [][]string{users[:11]}, err: errors.New("gone")}},
			code: 1, says: []string{"backfill: gone", "       1  not looked for"}, silent: true,
		},
		"the queues cannot be seen": {
			v:    &verifier{topic: &theTopic{source: acme}, queues: &theQueues{err: errors.New("forbidden")}},
			code: 1, says: []string{"backfill: look for users in the outbox: forbidden", "      12  not looked for", "       0  delivered"}, silent: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, r := reconcile(t, strings.NewReader(exportOf(12)), c.v, c.o)
			r.says(t, c.code, c.says...)
			got := f.ids()
			slices.Sort(got)
			want := slices.Sorted(slices.Values(c.sent))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			if named := strings.Contains(r.stderr, "auth0|"); named == c.silent {
				t.Errorf("got %q", r.stderr)
			}
		})
	}
}

// TestVerifyMany checks many users with little memory.
func TestVerifyMany(t *testing.T) { // not parallel: it measures the heap of the process
	if most := verifyMany(t, 200_000); most > 48<<20 {
		t.Errorf("%d MiB on the heap, want at most 48", most>>20)
	}
}

// BenchmarkVerifyMillion measures the memory for a million users.
func BenchmarkVerifyMillion(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(float64(verifyMany(b, 1_000_000)>>20), "MiB")
	}
}

// verifyMany checks users of whom every 97th is missing (more than a batch if there are a million), and returns the
// largest heap.
func verifyMany(tb testing.TB, users int) (most uint64) {
	tb.Helper()
	present := func(i int) bool { return i%97 != 0 }
	reader, writer := io.Pipe()
	go func() {
		var err error
		buffered := bufio.NewWriterSize(writer, 64<<10)
		for i := 0; i < users && err == nil; i++ {
			_, err = fmt.Fprintf(buffered, `{"user_id":"auth0|%d","created_at":"2026-11-21T00:00:00.000Z"}`+"\n", i)
			if i%50_000 == 49_999 {
				runtime.GC()
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
		}
		_ = writer.CloseWithError(errors.Join(err, buffered.Flush()))
	}()
	v := &verifier{topic: topicOf(func(tell func(source, key string)) {
		for i := range users {
			if present(i) {
				tell(acme, fmt.Sprintf("auth0|%d", i))
			}
		}
	}), queues: &theQueues{waiting: outbox.Seen{Whole: true}, poison: outbox.Seen{Whole: true}}}
	_, r := reconcile(tb, reader, v, options{dryRun: true})
	missing := (users + 96) / 97
	if want := fmt.Sprintf("%8d  in both\n", users-missing); r.code != 1 || !strings.Contains(r.stdout, want) || !strings.Contains(r.stdout, fmt.Sprintf("%8d  missing\n", missing)) {
		tb.Errorf("got exit code %d\n%s", r.code, r.stdout)
	}
	return most
}

// topicOf is a topic that returns everything once.
type topicOf func(tell func(source, key string))

func (f topicOf) CatchUp(_ context.Context, tell func(source, key string)) error {
	f(tell)
	return nil
}

// TestVerifyProgress checks that the progress is printed while the topic is read.
func TestVerifyProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := &verifier{topic: topicOf(func(tell func(source, key string)) {
			for i := range 12 {
				tell(acme, fmt.Sprintf("auth0|%d", i))
				time.Sleep(1100 * time.Millisecond) //nolint:forbidigo // a long topic, in virtual time
			}
		})}
		_, r := reconcile(t, strings.NewReader(exportOf(1)), v, options{})
		r.says(t, 0, "5 users in the topic, 0 read, 0 delivered, 0 not; 0.0 a second", "       1  in both")
	})
}

// TestVerifySettings checks the settings that -verify needs.
func TestVerifySettings(t *testing.T) {
	t.Parallel()
	kafka := []string{"KAFKA_BROKERS=127.0.0.1:1", "OUTBOX=off"}
	for says, c := range map[string]struct {
		env  []string
		args []string
	}{
		"KAFKA_BROKERS: must be host:port, or several separated by commas":              {[]string{"OUTBOX=off"}, nil},
		"AzureWebJobsStorage, or AzureWebJobsStorage__accountName or __queueServiceUri": {kafka[:1], nil},
		"AzureWebJobsStorage: must ":                                         {append(kafka[:1:1], "AzureWebJobsStorage="+key), nil},
		"AzureWebJobsStorage__accountName: must ":                            {append(kafka[:1:1], "AzureWebJobsStorage__accountName=A B"), nil},
		"KAFKA_SECURITY_PROTOCOL: must be ":                                  {append(kafka[:2:2], "KAFKA_SECURITY_PROTOCOL=TLS"), nil},
		"KAFKA_SECURITY_PROTOCOL: must be PLAINTEXT or SSL, or with":         {append(kafka[:2:2], "KAFKA_SECURITY_PROTOCOL=SASL_SSL"), nil},
		"KAFKA_SASL_MECHANISM: must be one of":                               {append(kafka[:2:2], "KAFKA_SASL_MECHANISM=GSSAPI"), nil},
		"KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: must be set for PLAIN": {append(kafka[:2:2], "KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_PASSWORD="+secret), nil},
		"KAFKA_TLS_CA: must be certificates in PEM":                          {append(kafka[:2:2], "KAFKA_SECURITY_PROTOCOL=SSL", "KAFKA_TLS_CA="+secret), nil},
		"KAFKA_TLS_CERT and KAFKA_TLS_KEY: must be":                          {append(kafka[:2:2], "KAFKA_SECURITY_PROTOCOL=SSL", "KAFKA_TLS_CERT="+secret), nil},
		"-verify looks into the topic: it needs no -state":                   {kafka, []string{"-state", "x"}},
	} {
		r := start(t.Context(), t, world{}, append(functionEnv(), c.env...), exportOf(1), append(c.args, "-verify", "-")...)
		if r.code != 2 || !strings.Contains(r.stderr, says) {
			t.Errorf("got exit code %d and %q, want 2 and %q", r.code, r.stderr, says)
		}
	}
}
