package funchost_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"userrelay/local/funchost"
	"userrelay/local/storagequeue"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// TestQueueFailures has a message that always fails: it is delivered again with a higher count, and finally poisoned
// unchanged.
func TestQueueFailures(t *testing.T) {
	t.Parallel()
	q := startQueues(t, queueApp(map[string]any{"maxDequeueCount": 3, "visibilityTimeout": "00:00:01"}), "")
	const text = "status=500&x=1"
	q.put(t, text)
	before := visible(t, q.jobs)
	var counts []string
	for _, call := range q.calls(t, 3) {
		counts = append(counts, call.text("DequeueCount"))
	}
	if !slices.Equal(counts, []string{"1", "2", "3"}) {
		t.Errorf("dequeue counts %q", counts)
	}
	wait.For(t, "the poison queue", func() bool { return len(visible(t, q.poison)) == 1 && queuetest.Count(t, q.jobs) == 0 })
	if after := visible(t, q.poison); len(before) > 0 && !slices.Equal(after, before) {
		t.Errorf("poisoned %q, want %q", after, before)
	}
	if !q.console.matches(`Message has reached MaxDequeueCount of 3\. Moving message to queue 'jobs-poison'\.`) {
		t.Error("the console does not tell of the poison queue")
	}
	q.put(t, "") // others go on
	q.calls(t, 4)
}

// TestQueueMessagesThatAreNotBase64 checks that such messages are poisoned unchanged, without a call.
func TestQueueMessagesThatAreNotBase64(t *testing.T) {
	t.Parallel()
	q := startQueues(t, queueApp(nil), "")
	bad := []string{"{}", "status=500", "YQ", "<é>"}
	for _, text := range bad {
		queuetest.Put(t, q.jobs, text)
	}
	queuetest.Put(t, q.jobs, " cGxh aW4=\n") // .NET takes white space
	q.executed(t, 1)
	wait.For(t, "the poison queue", func() bool { return len(visible(t, q.poison)) == len(bad) })
	got := visible(t, q.poison)
	slices.Sort(got)
	slices.Sort(bad)
	if !slices.Equal(got, bad) {
		t.Errorf("poisoned %q, want %q", got, bad)
	}
	if n := len(q.calls(t, 1)); n != 1 {
		t.Errorf("%d calls, want one", n)
	}
	if q.console.count("cannot be decoded: not base64") != len(bad) || q.console.has("<é>") {
		t.Error("the console does not tell of them all, or shows what they are")
	}
}

// TestQueuePlainMessages has messages for messageEncoding none.
func TestQueuePlainMessages(t *testing.T) {
	t.Parallel()
	q := startQueues(t, queueApp(map[string]any{"messageEncoding": "None"}), "")
	queuetest.Put(t, q.jobs, "<é> & so on")
	if got := q.calls(t, 1)[0].invocation.Data["job"]; got != `"<é> & so on"` {
		t.Errorf("the handler got %v", got)
	}
}

// TestQueueOfAPoisonQueue shows that in a queue without a poison queue a failed message stays, invisible.
func TestQueueOfAPoisonQueue(t *testing.T) {
	t.Parallel()
	a := queueApp(map[string]any{"maxDequeueCount": 1})
	a.functions["Drain"] = strings.Replace(drain(""), `"jobs"`, `"jobs-poison"`, 1)
	cfg, q := queueConfig(t, a, "")
	if _, err := q.poison.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	q.rig = start(t, cfg)
	queuetest.Put(t, q.poison, "c3RhdHVzPTUwMA==") // status=500
	q.executed(t, 1)
	if err := q.Shutdown(t.Context()); err != nil { // by then it has been handled
		t.Fatal(err)
	}
	if n, seen := queuetest.Count(t, q.poison), visible(t, q.poison); n != 1 || len(seen) != 0 {
		t.Errorf("%d messages, of which %q can be seen; want one that cannot", n, seen)
	}
}

// TestQueueCrash ends the handler while it processes a message, which is a normal failure of the message.
func TestQueueCrash(t *testing.T) {
	t.Parallel()
	// As on the real host, a message that is delivered again too soon finds no handler, which counts as an attempt.
	wait.LongEnough(t, "a handler's start", time.Second, func(limit time.Duration) bool {
		q := startQueues(t, queueApp(map[string]any{"maxDequeueCount": 2, "visibilityTimeout": clock(limit)}), "")
		q.put(t, "exit=1")
		wait.For(t, "the poison queue", func() bool { return len(visible(t, q.poison)) == 1 })
		calls := q.calls(t, 1)
		if len(calls) < 2 {
			return false
		}
		if calls[0].PID == calls[1].PID || calls[1].text("DequeueCount") != "2" {
			t.Errorf("second try: pid %d after %d, count %s", calls[1].PID, calls[0].PID, calls[1].text("DequeueCount"))
		}
		q.put(t, "")
		q.calls(t, 3)
		return true
	})
}

// TestQueueLastCrash checks that the crash that stops the host does not lose the message.
func TestQueueLastCrash(t *testing.T) {
	t.Parallel()
	q := startQueues(t, queueApp(map[string]any{"maxDequeueCount": 1000, "visibilityTimeout": "00:00:01"}), "")
	q.put(t, "exit=1")
	wantStopped(t, q.rig, "Exceeded http worker restart retry count")
	if n := len(q.calls(t, 3)); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
	if queuetest.Count(t, q.jobs) != 1 || queuetest.Count(t, q.poison) != 0 {
		t.Errorf("%d messages, %d poisoned; want it kept", queuetest.Count(t, q.jobs), queuetest.Count(t, q.poison))
	}
}

// TestQueueStop checks what happens to a message in progress when the host is stopped.
func TestQueueStop(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		stop     func(*queues, context.CancelFunc) error
		finished bool
	}{
		{"close", func(q *queues, _ context.CancelFunc) error { return q.Close() }, false},
		{"context", func(q *queues, end context.CancelFunc) error { end(); <-q.Done(); return q.Err() }, false},
		{"shutdown", func(q *queues, _ context.CancelFunc) error { return q.Shutdown(context.Background()) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, end := context.WithCancel(t.Context())
			defer end()
			cfg, q := queueConfig(t, queueApp(nil), "")
			q.rig = startIn(ctx, t, cfg)
			gate, report := filepath.Join(t.TempDir(), "gate"), filepath.Join(t.TempDir(), "report")
			q.put(t, "report="+report+"&wait="+gate)
			wait.For(t, "the call", func() bool { return contains(report, "started") })
			stopped := make(chan error, 1)
			go func() { stopped <- tt.stop(q, end) }()
			if tt.finished {
				wait.For(t, "the end of listening", func() bool { return !listens(t, strings.TrimPrefix(q.URL(), "http://")) })
				q.put(t, "left for others")
				writeFile(t, gate, "")
			}
			if err := wait.Receive(t, "the end", stopped); err != nil {
				t.Errorf("stopping: %v", err)
			}
			if tt.finished {
				if got := visible(t, q.jobs); !slices.Equal(got, []string{"bGVmdCBmb3Igb3RoZXJz"}) || queuetest.Count(t, q.jobs) != 1 {
					t.Errorf("left %q of %d, want the second message only", got, queuetest.Count(t, q.jobs))
				}
			} else if got := visible(t, q.jobs); len(got) != 0 || queuetest.Count(t, q.jobs) != 1 {
				t.Errorf("%d messages, of which %q can be seen; want one that cannot", queuetest.Count(t, q.jobs), got)
			}
			if queuetest.Count(t, q.poison) != 0 || contains(report, "finished") != tt.finished {
				t.Errorf("poisoned, or another end than finished=%v", tt.finished)
			}
		})
	}
}

// TestQueueWaits shows that messages wait for a handler that starts, and that the listener waits for its queue.
func TestQueueWaits(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(t.TempDir(), "gate")
	a := queueApp(nil)
	a.functions["Drain"] = strings.Replace(drain(""), `"jobs"`, `"%PREFIX%-Later"`, 1)
	cfg, q := queueConfig(t, a, "gate="+gate)
	cfg.Env = append(cfg.Env, "PREFIX=Comes")
	q.rig = start(t, cfg)
	wait.For(t, "the handler's process", func() bool { return q.HandlerPID() != 0 })
	q.jobs = queuetest.Make(t, variable(cfg.Env, "AzureWebJobsStorage"), "comes-later")
	q.put(t, "x")
	wait.For(t, "the invocation", func() bool { return q.console.has("Executing 'Functions.Drain'") })
	if _, err := os.Stat(q.seen); err == nil {
		t.Error("called before the handler was started")
	}
	writeFile(t, gate, "")
	q.calls(t, 1)
	q.executed(t, 1)
	if q.console.has("cannot be read") {
		t.Error("a queue that is not there counts as an error")
	}
}

// TestQueueServiceAway shows that the host retries its queue service, and continues when the service becomes
// available.
func TestQueueServiceAway(t *testing.T) {
	t.Parallel()
	first, err := storagequeue.Start(storagequeue.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	connection, addr := first.ConnectionString(), strings.TrimPrefix(first.URL(), "http://")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	seen := filepath.Join(t.TempDir(), "seen")
	cfg := config(t, funchost.Forward, "seen="+seen)
	cfg.Dir = queueApp(nil).write(t)
	cfg.Env = append(cfg.Env, "AzureWebJobsStorage="+connection)
	r := start(t, cfg)
	r.call(t, "GET", open, "").seen(t)
	queuetest.Start(t, storagequeue.Config{Addr: addr[:strings.IndexByte(addr, '/')]})
	jobs := queuetest.Make(t, connection, "jobs")
	queuetest.Put(t, jobs, "eA==")
	wait.For(t, "the call", func() bool { return contains(seen, "/Drain") })
}

// TestQueueFunctionsInError shows that a function whose queue cannot be determined does not run, and that the others
// do.
func TestQueueFunctionsInError(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, setting, want string }{
		{"nothing", "X=y", "the setting AzureWebJobsStorage, which names its connection, has no value"},
		{"empty", "AzureWebJobsStorage=", "the setting AzureWebJobsStorage, which names its connection, has no value"},
		{"malformed", "AzureWebJobsStorage=secret", "the setting AzureWebJobsStorage does not hold a connection string"},
		{"no account", "AzureWebJobsStorage=AccountKey=secret", "the setting AzureWebJobsStorage does not hold a connection string"},
		{"key is not base64", "AzureWebJobsStorage=AccountName=a;AccountKey=secret", "the setting AzureWebJobsStorage does not hold a connection string"},
		{"identity by account", "AzureWebJobsStorage__accountName=a", "AzureWebJobsStorage__accountName asks for an identity, and the stand-in has none"},
		{"identity by URL", "AzureWebJobsStorage__queueServiceUri=http://x", "AzureWebJobsStorage__queueServiceUri asks for an identity, and the stand-in has none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, funchost.Forward, "")
			cfg.Dir = queueApp(nil).write(t)
			cfg.Env = append(cfg.Env, tt.setting)
			r := start(t, cfg)
			r.call(t, "GET", open, "").seen(t)
			if !r.console.has("The 'Drain' function is in error: "+tt.want) || r.console.has("\tDrain:") || r.console.has("secret") {
				t.Error("the console does not name the error, lists the function all the same, or shows the value")
			}
		})
	}
}

// TestQueueFunctionDisabled shows that a disabled function needs no connection.
func TestQueueFunctionDisabled(t *testing.T) {
	t.Parallel()
	cfg := config(t, funchost.Forward, "")
	cfg.Dir = queueApp(nil).write(t)
	cfg.Env = append(cfg.Env, "AzureWebJobs.Drain.Disabled=true")
	r := start(t, cfg)
	r.call(t, "GET", open, "").seen(t)
	if !r.console.matches(`^Function Drain is disabled\.$`) || r.console.has("in error") {
		t.Error("want it listed as disabled, and no error")
	}
}

// TestQueueConsole checks the lines for tracing an invocation.
func TestQueueConsole(t *testing.T) {
	t.Parallel()
	q := startQueues(t, queueApp(nil), "")
	q.put(t, "")
	q.executed(t, 1)
	call := q.calls(t, 1)[0]
	id := call.Header.Get("X-Azure-Functions-Invocationid")
	for _, pattern := range []string{
		`^\tDrain: queueTrigger$`,
		`^` + stamp + `Executing 'Functions\.Drain' \(Reason='New queue message detected on 'jobs'\.', Id=` + id + `\)$`,
		`^` + stamp + `Trigger Details: MessageId: ` + strings.Trim(call.text("Id"), `"`) + `, DequeueCount: 1, InsertedOn: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$`,
		`^` + stamp + `Executed 'Functions\.Drain' \(Succeeded, Id=` + id + `, Duration=\d+ms\)$`,
	} {
		if !q.console.matches(pattern) {
			t.Errorf("no line %s", pattern)
		}
	}
}
