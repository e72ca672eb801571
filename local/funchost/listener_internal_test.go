package funchost

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The tests in this file are within the package so that they can run in virtual time, with a queue without a network.

// fakeQueue records its calls, with the time since the test began.
type fakeQueue struct {
	begin time.Time

	mu      sync.Mutex
	waiting []message
	takes   []time.Duration
	asked   int
	done    []string
	hideErr error
}

func (q *fakeQueue) note(format string, args ...any) {
	q.done = append(q.done, fmt.Sprintf("%v ", time.Since(q.begin))+fmt.Sprintf(format, args...))
}

func (q *fakeQueue) take(_ context.Context, n int, _ time.Duration) ([]message, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.takes, q.asked = append(q.takes, time.Since(q.begin)), n
	taken := q.waiting[:min(n, len(q.waiting))]
	q.waiting = q.waiting[len(taken):]
	return taken, nil
}

func (q *fakeQueue) hide(_ context.Context, m *message, hidden time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.note("hide %s with %s for %v", m.id, m.receipt, hidden)
	if q.hideErr != nil {
		return q.hideErr
	}
	m.receipt += "'"
	return nil
}

func (q *fakeQueue) remove(_ context.Context, m *message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.note("remove %s with %s", m.id, m.receipt)
	return nil
}

func (q *fakeQueue) copyToPoison(_ context.Context, m *message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.note("poison %s", m.id)
	return nil
}

func (q *fakeQueue) put(ids ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		q.waiting = append(q.waiting, message{id: id, receipt: "r", text: base64.StdEncoding.EncodeToString([]byte(id)), dequeueCount: 1})
	}
}

// listening runs a listener for d. The options are those of this app's host.json, except maxDequeueCount.
func listening(t *testing.T, d time.Duration, waiting []message, invoke func(context.Context, message, []byte) error) *fakeQueue {
	t.Helper()
	q := &fakeQueue{begin: time.Now(), waiting: waiting}
	l := &listener{
		fn: queueFunction{name: "Drain", queue: "jobs"}, queue: q, console: newConsole(Config{}, levels{}), invoke: invoke,
		options: queueOptions{batchSize: 16, newBatchThreshold: 8, maxDequeueCount: 5, visibilityTimeout: time.Minute, maxInterval: 15 * time.Second},
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	l.listen(ctx, ctx)
	return q
}

func messages(n int) []message {
	q := &fakeQueue{}
	for i := range n {
		q.put(fmt.Sprint("m", i))
	}
	return q.waiting
}

func TestPollingBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := listening(t, time.Minute, nil, nil)
		if q.takes[0] != 0 || q.asked != 16 {
			t.Errorf("the first look after %v asks for %d", q.takes[0], q.asked)
		}
		for i, at := range q.takes[1:] {
			// 100 ms, then each time about twice the previous pause.
			least, most := 100*time.Millisecond+80*time.Millisecond<<i, 100*time.Millisecond+120*time.Millisecond<<i
			if got := at - q.takes[i]; got < min(least, 15*time.Second) || got > min(most, 15*time.Second) {
				t.Errorf("look %d came %v after the one before, want %v to %v, at most 15 s", i+1, got, least, most)
			}
		}
		if n := len(q.takes); n < 9 || n > 13 {
			t.Errorf("%d looks in a minute", n)
		}
	})
}

func TestPollingGoesOnAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := listening(t, time.Second, messages(40), func(context.Context, message, []byte) error { return nil })
		if len(q.takes) < 4 || q.takes[3] != 0 {
			t.Errorf("looks at %v, want as long as there is something no pause", q.takes)
		}
		if n := len(q.done); n != 40 {
			t.Errorf("%d messages done, want 40", n)
		}
	})
}

// TestConcurrency shows that at most batchSize + newBatchThreshold messages are in progress, and that more are
// received as soon as newBatchThreshold or fewer are left.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			now += n
			most = max(most, now)
		}
		order := 0
		q := listening(t, time.Hour, messages(100), func(context.Context, message, []byte) error {
			count(1)
			defer count(-1)
			mu.Lock()
			order++
			d := time.Duration(order) * time.Second // one after the other
			mu.Unlock()
			time.Sleep(d) //nolint:forbidigo // the function's work
			return nil
		})
		if most != 24 {
			t.Errorf("%d at once, want 24", most)
		}
		if d := cmp.Diff([]time.Duration{0, 8 * time.Second}, q.takes[:2]); d != "" {
			t.Errorf("looks (-want +got)\n%s", d)
		}
	})
}

// TestInvisibilityIsRenewed also checks that the message is deleted with the receipt of the last renewal.
func TestInvisibilityIsRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := listening(t, time.Hour, messages(1), func(context.Context, message, []byte) error {
			time.Sleep(12 * time.Minute) //nolint:forbidigo // the function's work
			return nil
		})
		want := []string{"5m0s hide m0 with r for 10m0s", "10m0s hide m0 with r' for 10m0s", "12m0s remove m0 with r''"}
		if d := cmp.Diff(want, q.done); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	})
}

// TestRenewalThatFails checks that renewals stop after a failure, which is an unhandled exception.
func TestRenewalThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{begin: time.Now(), hideErr: errors.New("away")}
		var unhandled []error
		l := &listener{
			fn: queueFunction{queue: "jobs"}, queue: q, console: newConsole(Config{}, levels{}),
			unhandled: func(err error) { unhandled = append(unhandled, err) },
		}
		ended := make(chan struct{})
		time.AfterFunc(12*time.Minute, func() { close(ended) })
		l.keep(t.Context(), &message{id: "m", receipt: "r"}, ended)
		if d := cmp.Diff([]string{"5m0s hide m with r for 10m0s"}, q.done); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
		if len(unhandled) != 1 || unhandled[0].Error() != "message 'm' of queue 'jobs': away" {
			t.Errorf("unhandled: %v", unhandled)
		}
	})
}

// TestSettling shows how a message is settled, by the outcome of its function and its dequeue count.
func TestSettling(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, tt := range []struct {
		name   string
		queue  string
		count  int64
		err    error
		called bool
		want   []string
	}{
		{"success", "jobs", 1, nil, true, []string{"0s remove m with r"}},
		{"success at last", "jobs", 5, nil, true, []string{"0s remove m with r"}},
		{"failure", "jobs", 4, broken, true, []string{"0s hide m with r for 1m0s"}},
		{"last failure", "jobs", 5, broken, true, []string{"0s poison m", "0s remove m with r"}},
		{"taken too often", "jobs", 6, nil, false, []string{"0s poison m", "0s remove m with r"}},
		{"no poison queue", "jobs-poison", 5, broken, true, nil},
		{"no poison queue, taken too often", "jobs-poison", 6, nil, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, called := &fakeQueue{begin: time.Now()}, false
				l := &listener{
					fn: queueFunction{queue: tt.queue}, queue: q, console: newConsole(Config{}, levels{}),
					options: queueOptions{maxDequeueCount: 5, visibilityTimeout: time.Minute},
					invoke:  func(context.Context, message, []byte) error { called = true; return tt.err },
				}
				if err := l.process(t.Context(), &message{id: "m", receipt: "r", dequeueCount: tt.count}); err != nil {
					t.Error(err)
				}
				if d := cmp.Diff(tt.want, q.done); d != "" || called != tt.called {
					t.Errorf("called %v; (-want +got)\n%s", called, d)
				}
			})
		})
	}
}

func TestPollingIntervalOfDevelopment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		environment, written string
		want                 time.Duration
	}{
		{"Production", "", time.Minute},
		{"Development", "", 2 * time.Second},
		{"development", "00:01:00", 2 * time.Second}, // the default, written down
		{"Development", "00:00:15", 15 * time.Second},
	} {
		v := values{m: map[string]string{"extensions:queues:maxpollinginterval": tt.written}}
		o := v.queueOptions(environment{"AZURE_FUNCTIONS_ENVIRONMENT=" + tt.environment})
		if o.maxInterval != tt.want || len(v.errs) > 0 {
			t.Errorf("%s, %q: %v (%v), want %v", tt.environment, tt.written, o.maxInterval, v.errs, tt.want)
		}
	}
}

// TestConnections is within the package because another program may use the address of development storage.
func TestConnections(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ env, want string }{
		{"AzureWebJobsStorage=UseDevelopmentStorage=true", developmentStorage},
		{"AzureWebJobsStorage=usedevelopmentstorage = True;", developmentStorage},
		{"AzureWebJobsAzureWebJobsStorage=a=b", "a=b"}, // the host prefers the name with its prefix
		{"AzureWebJobsStorage=AccountName=x;AccountKey=eA==", "AccountName=x;AccountKey=eA=="},
	} {
		got, err := queueFunction{setting: "AzureWebJobsStorage"}.connection(environment{"AzureWebJobsStorage=c=d", tt.env})
		if err != nil || got != tt.want {
			t.Errorf("%s: %q, %v", tt.env, got, err)
		}
	}
}
