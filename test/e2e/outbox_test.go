package e2e_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"userrelay/handler/outbox"
	"userrelay/local/storagequeue"
	"userrelay/test/faultproxy"
	"userrelay/test/kafkatest"
	"userrelay/test/queuetest"
	"userrelay/test/skip"
	"userrelay/test/wait"
)

// startQueues starts the queues of a storage account, and returns the setting for them.
func startQueues(t *testing.T) (s *storagequeue.Server, setting string) {
	t.Helper()
	s = queuetest.Start(t, storagequeue.Config{})
	return s, "AzureWebJobsStorage=" + s.ConnectionString()
}

// kept is the answer to a registration that is in the outbox.
type kept struct {
	EventID   string `json:"eventId"`
	Outbox    string `json:"outbox"`
	MessageID string `json:"messageId"`
}

func (r reply) kept(t *testing.T) kept {
	t.Helper()
	var k kept
	if err := json.Unmarshal([]byte(r.body), &k, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("answer %d %s: %v", r.status, r.body, err)
	}
	if r.status != http.StatusAccepted || k.EventID == "" || k.Outbox != outbox.QueueName || k.MessageID == "" {
		t.Errorf("got %d %s, want 202 and where it is", r.status, r.body)
	}
	return k
}

// TestOutbox stops and restarts the broker of `go run ./local`: registrations that were answered 202 are soon in the
// topic, once, and telemetry has all their steps.
func TestOutbox(t *testing.T) {
	t.Parallel()
	l := startLocal(t)
	l.registerWithKey(t, `{"userId":"before"}`).stored(t)
	l.switchBroker(t, "false")
	answers := map[string]kept{}
	for _, user := range []string{"auth0|out-1", "auth0|out-2", "auth0|out-3"} {
		answers[user] = l.registerWithKey(t, `{"userId":"`+user+`","tenant":"acme"}`).kept(t)
	}
	l.switchBroker(t, "true")
	queue := queuetest.Open(t, l.addresses.Outbox.ConnectionString, l.addresses.Outbox.Queue)
	wait.For(t, "the outbox is empty", func() bool { return queuetest.Count(t, queue) == 0 })
	records := l.records(t)
	for user, answer := range answers {
		copies := 0
		for _, r := range records {
			if r.header("ce_id") == answer.EventID {
				copies++
				if r.Key != user || r.header("ce_source") != "urn:auth0:acme" || r.Value != `{"userId":"`+user+`"}` {
					t.Errorf("the record of %s: %+v", user, r)
				}
			}
		}
		if copies != 1 {
			t.Errorf("%s is in the topic %d times", user, copies)
		}
		var events []string
		wait.For(t, "telemetry of "+user, func() bool {
			events = nil
			items, _ := l.page.find(t, "eventId", answer.EventID)
			for _, i := range items {
				if event := i.Properties["event"]; event != "" {
					events = append(events, event)
				}
			}
			return strings.Contains(strings.Join(events, " "), "drained") || strings.Contains(strings.Join(events, " "), "withdrawn")
		})
		if told := strings.Join(events, " "); !strings.Contains(told, "received") || !strings.Contains(told, "outboxed") {
			t.Errorf("told of %s: %s", user, told)
		}
	}
}

// TestApache runs it with a real Kafka, twice with the same folder.
func TestApache(t *testing.T) {
	t.Parallel()
	kafkatest.Home(t)
	data := t.TempDir()
	for i := range 2 {
		l := startLocal(t, "-kafka", "apache", "-data", data)
		if got := l.registerWithKey(t, `{"userId":"a"}`).stored(t); got.Offset != int64(i) {
			t.Errorf("run %d: stored at %+v", i, got)
		}
		l.end(t)
	}
}

// TestAzurite shows that Azurite can provide the queues, and the blobs that func needs, and that it ends with the
// rest.
func TestAzurite(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("../azurite/node_modules"); err != nil {
		skip.For(t, "Azurite is missing; it needs Node.js, and `make test-queue` installs it")
	}
	l := startLocal(t, "-azurite", "-no-host")
	connection := l.addresses.Outbox.ConnectionString
	if !strings.Contains(connection, "BlobEndpoint=http://127.0.0.1:") {
		t.Errorf("the connection string is for queues only: %s", connection)
	}
	l.says(t, `^ +"AzureWebJobsStorage": "(.*)",$`)
	if _, err := queuetest.Open(t, connection, "q-1").Create(t.Context(), nil); err != nil {
		t.Error(err)
	}
	l.end(t)
	if _, err := queuetest.Open(t, connection, "q-2").Create(t.Context(), nil); err == nil {
		t.Error("Azurite is there still")
	}
}

// TestLateAnswer cuts off the broker's answers: registrations go into the outbox, and are deleted there when the
// answers arrive, without a drain.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	queues, setting := startQueues(t)
	h := startHandler(t, kafka.setting(), "OUTBOX=on", "KAFKA_TIMEOUT=2s", "OUTBOX_TIMEOUT=2s", setting)
	h.register(t, `{"userId":"before"}`).stored(t)
	kafka.set(t, faultproxy.Faults{BlackHole: true})
	k := h.register(t, `{"userId":"late"}`).kept(t)
	queue := queuetest.Open(t, queues.ConnectionString(), outbox.QueueName)
	if n := queuetest.Count(t, queue); n != 1 {
		t.Errorf("%d messages in the outbox", n)
	}
	kafka.set(t, faultproxy.Faults{})
	wait.For(t, "the copy is taken back", func() bool { return queuetest.Count(t, queue) == 0 })
	copies := 0
	for _, r := range kafka.records(t) {
		if r.header("ce_id") == k.EventID {
			copies++
		}
	}
	if copies != 1 {
		t.Errorf("the topic has it %d times", copies)
	}
}

// TestRepeats shows that a registration with the caller's own id is stored once, and with a derived id as often as it
// is sent.
func TestRepeats(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	h := startHandler(t, kafka.setting())
	first := h.register(t, `{"userId":"a"}`, "Idempotency-Key: k-1")
	second := h.register(t, `{"userId":"a"}`, "Idempotency-Key: k-1")
	if first.stored(t) != second.stored(t) || first.header.Get("Idempotency-Replayed") != "" || second.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("first %+v, then %+v", first, second)
	}
	if other := h.register(t, `{"userId":"b"}`, "Idempotency-Key: k-1"); other.status != http.StatusUnprocessableEntity {
		t.Errorf("for another user: %+v", other)
	}
	if other := h.register(t, `{"userId":"a","tenant":"other"}`, "Idempotency-Key: k-1"); other.header.Get("Idempotency-Replayed") != "" || other.stored(t) == first.stored(t) {
		t.Errorf("of another tenant: %+v", other)
	}
	h.register(t, `{"userId":"c"}`).stored(t)
	h.register(t, `{"userId":"c"}`).stored(t)
	if n := len(kafka.records(t)); n != 4 {
		t.Errorf("%d records, want 4", n)
	}
}

// TestRepeatOfUnknown delays the broker's answers: the repeat gets the outcome of the first request, and there is one
// record.
func TestRepeatOfUnknown(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	h := startHandler(t, kafka.setting(), "OUTBOX=off", "KAFKA_TIMEOUT=1s")
	h.register(t, `{"userId":"before"}`).stored(t)
	kafka.set(t, faultproxy.Faults{BlackHole: true})
	if r := h.register(t, `{"userId":"late"}`, "Idempotency-Key: k-1"); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "outcome-unknown") {
		t.Fatalf("without an answer of Kafka: %d %s", r.status, r.body)
	}
	kafka.set(t, faultproxy.Faults{})
	var repeat reply
	wait.For(t, "the repeat is answered", func() bool {
		repeat = h.register(t, `{"userId":"late"}`, "Idempotency-Key: k-1")
		return repeat.status == http.StatusOK
	})
	if repeat.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeat is not known as one: %+v", repeat)
	}
	if n := len(kafka.records(t)); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
}

// TestQueueIsAway makes the storage account unavailable while Kafka works: every registration is stored, and one line
// says what is missing and how to fix it.
func TestQueueIsAway(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	// Nothing listens on port 1.
	h := startHandler(t, kafka.setting(), "OUTBOX=on", "KAFKA_TIMEOUT=2s",
		"AzureWebJobsStorage=AccountName=abc;AccountKey=c2VjcmV0;QueueEndpoint=http://127.0.0.1:1/abc")
	wait.For(t, "the warning", func() bool { return strings.Contains(h.stderr.String(), "The outbox cannot be reached") })
	for i := range 50 {
		h.register(t, fmt.Sprintf(`{"userId":"auth0|%d"}`, i)).stored(t)
	}
	if text := h.stderr.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "todo=") {
		t.Errorf("stderr: %s", text)
	}
}

// TestDrainWithoutProfile leaves a registration with its profile in the outbox and restarts the handler without a host
// and with another RECORD_PROFILE: it drains the outbox with the current setting.
func TestDrainWithoutProfile(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	queues, setting := startQueues(t)
	before := startHandler(t, "KAFKA_BROKERS=127.0.0.1:1", "OUTBOX=on", "KAFKA_TIMEOUT=500ms", "RECORD_PROFILE=full", setting)
	k := before.register(t, `{"userId":"auth0|1","user":{"user_id":"auth0|1","email":"jane@example.com"}}`).kept(t)
	before.interrupt(t)
	startHandler(t, kafka.setting(), "OUTBOX=on", "KAFKA_TIMEOUT=2s", "RECORD_PROFILE=id", setting)
	queue := queuetest.Open(t, queues.ConnectionString(), outbox.QueueName)
	wait.For(t, "the outbox is empty", func() bool { return queuetest.Count(t, queue) == 0 })
	records := kafka.records(t)
	if len(records) != 1 || records[0].header("ce_id") != k.EventID || records[0].Value != `{"userId":"auth0|1"}` || records[0].header("ce_profileomitted") != "" {
		t.Errorf("records %+v", records)
	}
}

// TestPoisonCommands lists the poison queue, and moves back the messages that can be drained.
func TestPoisonCommands(t *testing.T) {
	t.Parallel()
	queues, setting := startQueues(t)
	env := []string{"OUTBOX=on", "KAFKA_BROKERS=127.0.0.1:9", setting}
	poison := queuetest.Make(t, queues.ConnectionString(), outbox.QueueName+"-poison")
	message, err := os.ReadFile("testdata/message.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"list", "resend"} {
		if code, stdout, stderr := runHandler(t, env, "-poison", what); code != 0 || stdout != "The poison queue is empty.\n" {
			t.Errorf("%s of nothing: code %d, stdout %q, stderr %q", what, code, stdout, stderr)
		}
	}
	for _, m := range [][]byte{message, []byte("hello")} {
		queuetest.Put(t, poison, base64.StdEncoding.EncodeToString(m))
	}
	code, stdout, stderr := runHandler(t, env, "-poison", "list")
	if code != 0 || lastLine(stdout) != "2 messages shown; all of them stay there." || stderr != "" || !strings.Contains(stdout, `user "auth0|61de2511fd334200aa221dff"`) || !strings.Contains(stdout, "cannot be drained") {
		t.Errorf("list: code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	code, stdout, stderr = runHandler(t, env, "-poison", "resend")
	if !strings.HasPrefix(stdout, "About 2 messages to look at.\n1/2  ") || !strings.Contains(stdout, "\n2/2  ") {
		t.Errorf("resend: no progress in %q", stdout)
	}
	if code != 0 || stderr != "" || lastLine(stdout) != "1 messages sent again, 1 left that cannot be drained" {
		t.Errorf("resend: code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if n := queuetest.Count(t, queuetest.Open(t, queues.ConnectionString(), outbox.QueueName)); n != 1 {
		t.Errorf("%d messages in the outbox", n)
	}
	for _, c := range []struct {
		env, args []string
		code      int
		says      string
	}{
		{env, []string{"-poison", "eat"}, 2, "-poison must be list or resend"},
		{[]string{"OUTBOX=off", "KAFKA_BROKERS=127.0.0.1:9"}, []string{"-poison", "list"}, 2, "OUTBOX is off"},
		{append(env, "AzureWebJobsStorage=AccountName=devstoreaccount1;AccountKey=c2VjcmV0;QueueEndpoint="+queues.URL()), []string{"-poison", "list"}, 1, "AuthenticationFailed"},
	} {
		if code, _, stderr := runHandler(t, c.env, c.args...); code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: code %d, stderr %q, want %d and %q", c.args, code, stderr, c.code, c.says)
		}
	}
}

// TestCheckConnectOutbox shows that -check -connect tests the queue and the telemetry endpoint.
func TestCheckConnectOutbox(t *testing.T) {
	t.Parallel()
	kafka := startBroker(t)
	queues, setting := startQueues(t)
	env := []string{kafka.setting(), "OUTBOX=on", setting}
	code, stdout, _ := runHandler(t, env, "-check", "-connect")
	if code != 0 || !strings.Contains(stdout, "ok    outbox: ") || !strings.Contains(stdout, "WARN  telemetry: ") {
		t.Errorf("code %d, stdout %q", code, stdout)
	}
	if !strings.Contains(stdout, "ok    outbox: Nothing waits.") || strings.Contains(stdout, "poison") {
		t.Errorf("empty queues: %q", stdout)
	}
	message, err := os.ReadFile("testdata/message.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{outbox.QueueName, outbox.QueueName + "-poison"} {
		queue := queuetest.Open(t, queues.ConnectionString(), name)
		_, _ = queue.Create(t.Context(), nil) // the handler may have made it
		if _, err := queue.EnqueueMessage(t.Context(), base64.StdEncoding.EncodeToString(message), nil); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, _ = runHandler(t, env, "-check", "-connect")
	for _, want := range []string{"WARN  outbox: About 1 messages wait, the oldest visible one since 20", "WARN  outbox: About 1 messages are in the poison queue"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("code %d, stdout %q, want %q", code, stdout, want)
		}
	}
	code, stdout, stderr := runHandler(t, append(env, "AzureWebJobsStorage=AccountName=devstoreaccount1;AccountKey=c2VjcmV0;QueueEndpoint="+queues.URL(),
		"APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=http://127.0.0.1:9/"), "-check", "-connect")
	for _, want := range []string{"FAIL  outbox: ", "AuthenticationFailed", "AccountKey", "FAIL  telemetry: ", "APPLICATIONINSIGHTS_CONNECTION_STRING"} {
		if code == 0 || !strings.Contains(stdout, want) {
			t.Errorf("code %d, stdout %q, stderr %q, want %q", code, stdout, stderr, want)
		}
	}
	if strings.Contains(stdout, "c2VjcmV0") {
		t.Errorf("the key is printed: %q", stdout)
	}
}
