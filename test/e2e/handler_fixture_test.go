package e2e_test

import (
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"userrelay/local/freeport"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// noOutbox and mostTime are for tests without the outbox: Kafka may use the whole time of an answer, because the
// machine may be busy. Later settings override them.
const (
	noOutbox = "OUTBOX=off"
	mostTime = "KAFKA_TIMEOUT=4s"
)

// handlerRun is a running handler, without a host in front.
type handlerRun struct {
	*process
	client
	port int
}

// startHandler starts the handler with these settings (NAME=VALUE) and waits until it answers. At the test's end the
// handler gets an interrupt, as from Ctrl-C, and must exit with 0; after a data race the code differs.
func startHandler(t *testing.T, settings ...string) *handlerRun {
	t.Helper()
	for try := 1; ; try++ {
		h := startUnder(t, settings, handlerBinary)
		if h.ready(t) {
			t.Cleanup(func() { h.interrupt(t) })
			return h
		}
		if taken := strings.Contains(h.stderr.String(), "address already in use"); !taken || try == 5 {
			t.Fatal("the handler does not start")
		}
	}
}

// startUnder starts a program that is the handler or starts it.
func startUnder(t *testing.T, settings []string, program string, args ...string) *handlerRun {
	t.Helper()
	port := freePort(t)
	env := slices.Concat([]string{noOutbox, mostTime}, settings, []string{portSetting(port)})
	return &handlerRun{startProcess(t, env, program, args...), newClient(t, "http://"+loopback(port)), port}
}

// ready waits until the handler answers or has ended, and says whether it answers.
func (h *handlerRun) ready(t *testing.T) bool {
	t.Helper()
	answers := false
	wait.For(t, "the handler answers", func() bool {
		_, err := h.try(t.Context(), http.MethodGet, "/", http.NoBody)
		answers = err == nil
		return answers || !h.running()
	})
	return answers
}

// interrupt ends a running handler as Ctrl-C does.
func (h *handlerRun) interrupt(t *testing.T) {
	t.Helper()
	h.http.CloseIdleConnections()
	if !h.running() || runtime.GOOS == "windows" { // no signals there; it is killed
		return
	}
	h.signal(t, os.Interrupt)
	if code := h.wait(t); code != 0 {
		t.Errorf("after Ctrl-C: exit code %d, want 0", code)
	}
}

func (h *handlerRun) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := h.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// listening says whether the handler accepts new connections.
func (h *handlerRun) listening(t *testing.T) bool {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: wait.Patience}).DialContext(t.Context(), "tcp4", loopback(h.port))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func portSetting(port int) string { return "FUNCTIONS_CUSTOMHANDLER_PORT=" + strconv.Itoa(port) }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func freePort(t *testing.T) int {
	t.Helper()
	return must.Get[int](t)(freeport.Find(t.Context()))
}

// needSignals skips a test on systems without signals.
func needSignals(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("skipped: Windows has no signals")
	}
}
