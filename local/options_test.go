package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestFlagsThatCannotWork checks that such flags end the program with a sentence before anything is built or opened.
func TestFlagsThatCannotWork(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	busy := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port) //nolint:errcheck // what it is
	for _, tt := range []struct {
		args, want string
	}{
		{"-kafka nonsense", "-kafka must be host:port"},
		{"-kafka http://127.0.0.1:9092", "without a scheme"},
		{"-kafka 127.0.0.1", "-kafka must be host:port"},
		{"-kafka :9092", "-kafka must be host:port"},
		{"-kafka 127.0.0.1:0", "-kafka must be host:port"},
		{"-kafka 127.0.0.1:kafka", "-kafka must be host:port"},
		{"-kafka a:1,", "-kafka must be host:port"},
		{"-kafka user@a:1", "-kafka must be host:port"},
		{"-kafka apache", "KAFKA_HOME"},
		{"-port " + busy, "port " + busy + " is taken"},
		{"-page " + busy, "port " + busy + " is taken"},
		{"-port 65536", "65536 is not a port"},
		{"-page -1", "-1 is not a port"},
		{"-port x", "-port"},
		{"-topic a/b", "-topic must be"},
		{"-topic ..", "-topic must be"},
		{"-key a'b", "-key must be"},
		{"-key " + strings.Repeat("k", 129), "-key must be"},
		{"-data go.mod", "-data must be a folder"},
		{"-ready no/such/file", "-ready: there is no folder"},
		{"-settings docs", "-settings must be a file"},
		{"-env nonsense", "NAME=VALUE"},
		{"-unknown", "-unknown"},
		{"more", "no arguments but flags"},
	} {
		var out, errs bytes.Buffer
		code := run(strings.Fields(tt.args), nil, &out, &errs)
		if text := errs.String(); code != 2 || out.Len() > 0 || !strings.Contains(text, tt.want) || strings.Count(text, "\n") != 1 {
			t.Errorf("%s: code %d, %q, %q; want 2 and a sentence with %q", tt.args, code, out.String(), text, tt.want)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if code := run([]string{"-help"}, nil, &out, &errs); code != 0 || errs.Len() > 0 || !strings.Contains(out.String(), "-settings") {
		t.Errorf("code %d, %q, %q", code, out.String(), errs.String())
	}
}

// TestData shows that a folder belongs to one program at a time, and keeps the key.
func TestData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first := options{data: dir}
	unlock, err := first.lockData()
	if err != nil {
		t.Fatal(err)
	}
	key, err := first.functionKey()
	if err != nil || len(key) < 20 {
		t.Fatalf("key %q, %v", key, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "key")); err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("the key's file: %v, %v", info.Mode(), err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"-data", dir, "-port", "0"}, nil, &out, &errs); code != 1 || out.Len() > 0 || !strings.Contains(errs.String(), "another go run ./local has -data "+dir) {
		t.Errorf("a second one: code %d, %q, %q", code, out.String(), errs.String())
	}
	unlock()
	again := options{data: dir}
	unlock, err = again.lockData()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	for _, step := range []struct{ flag, want string }{{"", key}, {"mine", "mine"}, {"", "mine"}} {
		o := options{data: dir, key: step.flag}
		if got, err := o.functionKey(); err != nil || got != step.want {
			t.Errorf("-key %q: %q, %v; want %q", step.flag, got, err, step.want)
		}
	}
	o := options{key: "given"}
	if got, err := o.functionKey(); err != nil || got != "given" {
		t.Errorf("without -data: %q, %v", got, err)
	}
}

// TestPorts checks the choice of ports.
func TestPorts(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	busy := listener.Addr().(*net.TCPAddr).Port //nolint:errcheck // what it is
	var out bytes.Buffer
	s := &stack{options: options{port: 1}, out: &out, used: map[int]bool{}}
	next := s.portFor(t.Context(), "Kafka", busy)
	if next <= busy || next > busy+100 || out.String() != "Port "+strconv.Itoa(busy)+" is taken: Kafka has "+strconv.Itoa(next)+" instead.\n" {
		t.Errorf("got %d instead of %d, and %q", next, busy, out.String())
	}
	if second := s.portFor(t.Context(), "the queue", next); second == next {
		t.Errorf("two have port %d", next)
	}
	s.given = []int{busy}
	if got := s.portFor(t.Context(), "the function", busy); got != busy {
		t.Errorf("the port that was asked for: got %d", got)
	}
	s = &stack{options: options{port: 0, given: []int{0}}, out: &out, used: map[int]bool{}}
	if got := s.portFor(t.Context(), "Kafka", 9092); got != 0 {
		t.Errorf("with -port 0: got %d, want any", got)
	}
}

// TestQuiet checks which lines are omitted at the start and the end.
func TestQuiet(t *testing.T) {
	t.Parallel()
	lines := []string{"[x] level=INFO msg=a\n", "[x] Worker process started and initialized.\n", "[x] level=WARN msg=b\n", "[x] no handler\n"}
	for _, tt := range []struct {
		well bool
		want string
	}{{true, lines[2] + lines[3] + lines[0]}, {false, strings.Join(lines, "") + lines[0]}} {
		var out bytes.Buffer
		q := &quiet{out: &out}
		q.start()
		for _, line := range lines {
			if _, err := q.Write([]byte(line)); err != nil {
				t.Fatal(err)
			}
		}
		if out.Len() > 0 {
			t.Errorf("printed %q too early", out.String())
		}
		q.release(tt.well)
		_, _ = q.Write([]byte(lines[0]))
		if out.String() != tt.want {
			t.Errorf("well %v: got %q, want %q", tt.well, out.String(), tt.want)
		}
	}
}

// TestSettingsFile shows that no file of the user is overwritten.
func TestSettingsFile(t *testing.T) {
	t.Parallel()
	s := &stack{options: options{settings: filepath.Join(t.TempDir(), "local.settings.json")}}
	for range 2 { // the second finds what the first has written
		if err := s.writeSettings([]byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.writeSettings([]byte(`{"a":1}`)); err == nil || !strings.Contains(err.Error(), "move it away first") {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(s.settings); err != nil || string(text) != "{}" {
		t.Errorf("got %q, %v", text, err)
	}
}
