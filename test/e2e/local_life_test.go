package e2e_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
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

// checkEnd ends it and shows that no process and no file is left.
func (l *localRun) checkEnd(t *testing.T, end func()) {
	t.Helper()
	end()
	l.wait(t) // the code is that of go run, whatever local's is
	if runtime.GOOS != "linux" {
		return
	}
	wait.For(t, "all have ended", func() bool { return len(l.family(t, "")) == 0 })
	if left, err := filepath.Glob(filepath.Join(l.temp, "userrelay-*")); err != nil || len(left) > 0 {
		t.Errorf("these files are left: %q (%v)", left, err)
	}
}

// TestLocalInterruptedEarly ends it during the build, which must look like a normal end.
func TestLocalInterruptedEarly(t *testing.T) {
	t.Parallel()
	needProc(t)
	l := beginLocal(t, nil)
	l.says(t, "Building the handler")
	l.checkEnd(t, func() { signalGroup(t, l.cmd, os.Interrupt) })
	if l.stderr.String() != "" || strings.Contains(l.stdout.String(), "signal") {
		t.Errorf("it says %s%s", l.stderr, l.stdout)
	}
}

// TestLocalSurvives kills the handler until the host gives up, and then go run.
func TestLocalSurvives(t *testing.T) {
	t.Parallel()
	needProc(t)
	l := startLocal(t)
	l.register(t, `{"userId":"before"}`).stored(t)
	kill := func() {
		wait.For(t, "the handler is there", func() bool { return len(l.family(t, "handler")) == 1 })
		l.killOne(t, "handler")
	}
	kill()
	wait.For(t, "the handler is there again", func() bool { return len(l.family(t, "handler")) == 1 })
	l.register(t, `{"userId":"after-the-first"}`).stored(t)
	l.says(t, `Language Worker Process exited\. Pid=`)
	kill()
	kill()
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
		if copies(records, user) == 0 {
			t.Errorf("no record of %q", user)
		}
	}
	l.checkEnd(t, func() { l.kill(t) })
}

// TestLocalData shows that -data keeps the topic between runs, and that the handler does not outlive local.
func TestLocalData(t *testing.T) {
	t.Parallel()
	needProc(t)
	data := t.TempDir()
	for offset := range int64(2) {
		l := startLocal(t, "-data", data)
		if got := l.register(t, `{"userId":"a"}`).stored(t); got.Offset != offset {
			t.Errorf("got %+v, want offset %d", got, offset)
		}
		if offset == 0 {
			l.end(t)
			continue
		}
		l.killOne(t, "local") // it cannot remove its files
		wait.For(t, "all have ended", func() bool { return len(l.family(t, "")) == 0 })
	}
}

// TestApache runs it with a real Kafka, twice with the same folder.
func TestApache(t *testing.T) {
	t.Parallel()
	kafkatest.Home(t)
	data := t.TempDir()
	for offset := range int64(2) {
		l := startLocal(t, "-kafka", "apache", "-data", data)
		if got := l.register(t, `{"userId":"a"}`).stored(t); got.Offset != offset {
			t.Errorf("got %+v, want offset %d", got, offset)
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
	queuetest.Make(t, connection, "q-1")
	l.end(t)
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
	command := l.says(t, `^Register a user: +curl -i '([^']+)/api/[^']+code=([^']+)' -d`)
	l.says(t, `^Nothing listens at `+regexp.QuoteMeta(loopback(port))+`: start Kafka there`)
	if _, err := os.Stat(l.ready); err == nil {
		t.Error("ready without Kafka")
	}
	l.client, l.addresses.Key = newClient(t, command[1]), command[2]
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
	answer := h.register(t, `{"userId":"auth0|no-host"}`).stored(t)
	if got := at(t, l.records(t), answer).Header("ce_source"); got != "urn:auth0:acme" {
		t.Errorf("ce_source: got %q, want that of -env", got)
	}
	if !h.healthy(t) {
		t.Error("the function Health says otherwise")
	}
	l.page.titled(t, "userId", "auth0|no-host", "send "+topic)
}
