package funchost_test

import (
	"encoding/base64"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"
	"github.com/go-json-experiment/json"

	"userrelay/local/funchost"
	"userrelay/local/storagequeue"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// queueApp is the standard app with one more function: Drain, with a trigger for the queue "jobs". The members are
// those of host.json's extensions.queues; the defaults make the tests fast.
func queueApp(members map[string]any) app {
	queues := map[string]any{"maxPollingInterval": "00:00:00.1"}
	maps.Copy(queues, members)
	a := standard()
	a.top["extensions"] = map[string]any{"queues": queues}
	a.functions["Drain"] = drain("")
	return a
}

// drain is a function.json with the members added.
func drain(members string) string {
	return `{"bindings":[{"type":"queueTrigger","direction":"in","name":"job","queueName":"jobs","connection":"AzureWebJobsStorage"` + members + `}]}`
}

// queues are a host, its handler's records, and its queues.
type queues struct {
	*rig
	jobs, poison *azqueue.QueueClient
	seen         string // the file in which the handler records invocations
}

// queueConfig starts a queue service with the queue. It returns the host's configuration and the rest of the rig.
func queueConfig(t *testing.T, a app, probe string) (funchost.Config, *queues) {
	t.Helper()
	connection := queuetest.Start(t, storagequeue.Config{}).ConnectionString()
	q := &queues{
		jobs: queuetest.Make(t, connection, "jobs"), poison: queuetest.Open(t, connection, "jobs-poison"),
		seen: filepath.Join(t.TempDir(), "seen"),
	}
	cfg := config(t, funchost.Forward, "seen="+q.seen+"&"+probe)
	cfg.Dir = a.write(t)
	cfg.Env = append(cfg.Env, "AzureWebJobsStorage="+connection)
	return cfg, q
}

// startQueues starts such a host.
func startQueues(t *testing.T, a app, probe string) *queues {
	t.Helper()
	cfg, q := queueConfig(t, a, probe)
	q.rig = start(t, cfg)
	return q
}

// put puts a message as the handler does: in base64.
func (q *queues) put(t *testing.T, text string) {
	t.Helper()
	queuetest.Put(t, q.jobs, base64.StdEncoding.EncodeToString([]byte(text)))
}

// visible returns the texts of a queue's visible messages.
func visible(t *testing.T, queue *azqueue.QueueClient) []string {
	t.Helper()
	number := int32(32)
	answer, err := queue.PeekMessages(t.Context(), &azqueue.PeekMessagesOptions{NumberOfMessages: &number})
	if queueerror.HasCode(err, queueerror.QueueNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range answer.Messages {
		texts = append(texts, *m.MessageText)
	}
	return texts
}

// noted is an invocation as the handler saw it.
type noted struct {
	seen
	invocation struct{ Data, Metadata map[string]any }
}

// text returns a string of the invocation's metadata.
func (n noted) text(name string) string {
	text, _ := n.invocation.Metadata[name].(string)
	return text
}

// calls waits until the handler has been called n times for messages, and returns the invocations.
func (q *queues) calls(t *testing.T, n int) []noted {
	t.Helper()
	var lines []string
	wait.For(t, "the handler's calls", func() bool {
		data, err := os.ReadFile(q.seen)
		if err != nil {
			return false
		}
		lines = strings.SplitAfter(string(data), "\n")
		lines = lines[:len(lines)-1] // what follows the last newline
		return len(lines) >= n
	})
	var all []noted
	for _, line := range lines {
		var call noted
		if err := json.Unmarshal([]byte(line), &call.seen); err != nil {
			t.Fatal(err)
		}
		if len(call.Body) > 0 {
			if err := json.Unmarshal(call.Body, &call.invocation); err != nil {
				t.Fatalf("%v: %s", err, call.Body)
			}
		}
		all = append(all, call)
	}
	return all
}

// executed waits until n invocations have ended.
func (q *queues) executed(t *testing.T, n int) {
	t.Helper()
	wait.For(t, "the end of the invocations", func() bool { return q.console.count("Executed 'Functions.Drain'") >= n })
}
