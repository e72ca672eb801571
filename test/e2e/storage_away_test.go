package e2e_test

import (
	"context"
	"flag"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"userrelay/local/storagequeue"
	"userrelay/test/wait"
)

// awayFlag is how long the storage account refuses connections. The host's queue listener gives up after half a minute.
const awayFlag = "away"

// TestStorageAway has a storage account that refuses connections for a minute, under load and while Kafka works.
// Registrations need the outbox only while Kafka is unavailable: without the queue's trigger callers notice nothing.
// With the trigger the host ends, as the real one does, and the platform must restart it.
func TestStorageAway(t *testing.T) {
	t.Parallel()
	t.Run("trigger off", func(t *testing.T) {
		t.Parallel()
		l, queues := startWithQueues(t, "-env", "AzureWebJobs.DrainOutbox.Disabled=true")
		if err := queues.Close(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), awayTime(t))
		defer cancel()
		answers := l.load(ctx)
		if answers[http.StatusOK] < 100 || len(answers) != 1 {
			t.Errorf("answers by status: %v, want 200 only", answers)
		}
		if text := l.stdout.String(); strings.Contains(text, "The host has stopped") || strings.Contains(text, "unhandled exception") {
			t.Error("the host has not lived through it")
		}
		if got := len(l.records(t)); got != answers[http.StatusOK] {
			t.Errorf("%d records of %d registrations", got, answers[http.StatusOK])
		}
	})
	t.Run("trigger on", func(t *testing.T) {
		t.Parallel()
		l, queues := startWithQueues(t)
		address := strings.TrimPrefix(queues.URL(), "http://")
		address, _, _ = strings.Cut(address, "/")
		if err := queues.Close(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var loading sync.WaitGroup
		var answers map[int]int
		loading.Go(func() { answers = l.load(ctx) })
		l.says(t, `An unhandled exception has occurred\. Host is shutting down\. take messages: `)
		l.says(t, `^The host has stopped: An unhandled exception has occurred`)
		l.says(t, `^In Azure the platform starts it again; so does this program`)
		cancel()
		loading.Wait()
		for status := range answers {
			if status != http.StatusOK && status != 0 { // 0: nobody listened
				t.Errorf("answers by status: %v, want 200, or no answer once the host has ended", answers)
			}
		}
		back, err := storagequeue.Start(storagequeue.Config{Addr: address})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = back.Close() }()
		wait.For(t, "registrations are stored again", func() bool {
			r, err := l.try(t.Context(), http.MethodPost, "/api/RegisterUser?code="+l.addresses.Key, strings.NewReader(`{"userId":"again"}`))
			return err == nil && r.status == http.StatusOK
		})
	})
}

func awayTime(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(flag.Lookup(awayFlag).Value.String())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// startWithQueues starts everything with the test's own storage account.
func startWithQueues(t *testing.T, args ...string) (*localRun, *storagequeue.Server) {
	t.Helper()
	queues, err := storagequeue.Start(storagequeue.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = queues.Close() }) // the test closes it
	// Kafka gets nearly all of the time, which it may need on a busy machine, so that no registration uses the outbox.
	l := startLocal(t, append(args, "-env", "AzureWebJobsStorage="+queues.ConnectionString(),
		"-env", "KAFKA_TIMEOUT=3.8s", "-env", "OUTBOX_TIMEOUT=200ms")...)
	return l, queues
}

// load registers users until ctx ends, and counts the answers by their status, 0 for none.
func (l *localRun) load(ctx context.Context) map[int]int {
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	answers := map[int]int{}
	for ctx.Err() == nil {
		// It waits for registrations in flight at the end.
		r, _ := l.try(context.WithoutCancel(ctx), http.MethodPost, "/api/RegisterUser?code="+l.addresses.Key, strings.NewReader(`{"userId":"auth0|away"}`))
		answers[r.status]++
		<-pace.C
	}
	return answers
}
