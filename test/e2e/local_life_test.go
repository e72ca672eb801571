package e2e_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/test/kafkatest"
	"userrelay/test/must"
	"userrelay/test/queuetest"
	"userrelay/test/skip"
	"userrelay/test/wait"
)

// TestLocalInterruptedEarly ends it during the build, which must look like a normal end.
func TestLocalInterruptedEarly(t *testing.T) {
	t.Parallel()
	needProc(t)
	l := beginLocal(t, nil)
	l.says(t, "Building the handler")
	l.checkInterrupt(t)
}

// TestLocalSurvives kills the handler until the host gives up, and then go run.
func TestLocalSurvives(t *testing.T) {
	t.Parallel()
	needProc(t)
	l := startLocal(t)
	l.register(t, `{"userId":"before"}`).stored(t)
	l.killHandler(t)
	wait.For(t, "the handler is there again", func() bool { return len(l.family(t, "handler")) == 1 })
	l.register(t, `{"userId":"after-the-first"}`).stored(t)
	l.says(t, `Language Worker Process exited\. Pid=`)
	l.killHandler(t)
	l.killHandler(t)
	l.says(t, `Exceeded http worker restart retry count\. Shutting down Functions Host`)
	l.says(t, `^The host has stopped: `)
	l.says(t, `^In Azure the platform starts it again; so does this program`)
	place := strings.TrimPrefix(l.base, "http://")
	if other, err := new(net.ListenConfig).Listen(t.Context(), "tcp", place); err == nil { // before the host did
		l.says(t, `^Port \d+ was taken meanwhile: the host starts as soon as it is free\.`)
		_ = other.Close()
	}
	wait.For(t, "health", func() bool { return l.healthy(t) })
	l.register(t, `{"userId":"after-the-third"}`).stored(t)
	records := l.records(t)
	for _, user := range []string{"before", "after-the-first", "after-the-third"} {
		if len(recordsOf(records, user)) == 0 {
			t.Errorf("no record of %q", user)
		}
	}
	l.signal(t, os.Kill)
	l.checkEnd(t)
}

// TestLocalData shows that -data keeps the topic between runs, with the broker of local and with a real Kafka.
func TestLocalData(t *testing.T) {
	t.Parallel()
	for broker, args := range map[string][]string{"local": nil, "apache": {"-kafka", "apache"}} {
		t.Run(broker, func(t *testing.T) {
			t.Parallel()
			if broker == "apache" {
				kafkatest.Home(t)
			}
			args = append(args, "-data", t.TempDir())
			for offset := range int64(2) {
				l := startLocal(t, args...)
				if got := l.register(t, `{"userId":"a"}`).stored(t); got.Offset != offset {
					t.Errorf("got %+v, want offset %d", got, offset)
				}
				l.interrupt(t)
			}
		})
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
	queuetest.Make(t, connection, "q-1")
	l.interrupt(t)
	if _, err := queuetest.Open(t, connection, "q-2").Create(t.Context(), nil); err == nil {
		t.Error("Azurite is there still")
	}
}

// TestLocalKafkaAway starts it with a missing broker: it reports that once, registrations wait in the outbox, and the
// broker is used as soon as it is available.
func TestLocalKafkaAway(t *testing.T) {
	t.Parallel()
	needSignals(t)
	port := freePort(t)
	l := beginLocal(t, nil, "-kafka", loopback(port))
	command := l.says(t, `^Register a user: +curl -i '([^']+)\?code=([^']+)' -d`)
	l.says(t, `^Nothing listens at `+regexp.QuoteMeta(loopback(port))+`: start Kafka there`)
	if _, err := os.Stat(l.ready); err == nil {
		t.Error("ready without Kafka")
	}
	l.knows(t, command[1], command[2])
	l.register(t, `{"userId":"auth0|early"}`).kept(t)

	t.Cleanup(must.Get[*kfake.Cluster](t)(kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port))).Close)
	l.says(t, `^Made the topic user-events`)
	wait.For(t, "local is ready", func() bool { _, err := os.Stat(l.ready); return err == nil })
	l.says(t, `^Kafka takes registrations now\.`)
	wait.For(t, "registrations are stored", func() bool { return l.register(t, `{"userId":"auth0|late"}`).status == http.StatusOK })
	if n := strings.Count(l.stdout.String(), "Nothing listens at"); n != 1 {
		t.Errorf("said %d times that nothing listens", n)
	}
}

// TestNoHost shows that a handler needs only the settings that `-no-host` prints.
func TestNoHost(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "local.settings.json")
	l := startLocal(t, "-no-host", "-settings", file, "-env", "AUTH0_TENANT=acme")
	env := localSettings(t, file)
	if !slices.Contains(env, "AzureWebJobs.DrainOutbox.Disabled=true") {
		t.Error("the queue's trigger, which needs blobs, is not switched off")
	}
	if code, _, stderr := runHandler(t, env, "-check"); code != 0 {
		t.Fatalf("-check: got code %d: %s", code, stderr)
	}
	h := startHandler(t, env...)
	a := h.register(t, `{"userId":"auth0|no-host"}`).stored(t)
	if got := at(t, l.records(t), a).Header("ce_source"); got != "urn:auth0:acme" {
		t.Errorf("ce_source: got %q, want that of -env", got)
	}
	if !h.healthy(t) {
		t.Error("the function Health says otherwise")
	}
	l.page.titled(t, "userId", "auth0|no-host", "send "+topic)
}
