package realkafka_test

import (
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/local/realkafka"
	"userrelay/test/kafkatest"
	"userrelay/test/must"
	"userrelay/test/recorder"
)

// TestPortsAndFolder takes a port just before the broker binds it, and then starts a second cluster on the first one's
// folder.
func TestPortsAndFolder(t *testing.T) {
	const topic = "kept"
	opts := realkafka.Options{Dir: filepath.Join(t.TempDir(), "a folder"), Listeners: []realkafka.Listener{realkafka.Plaintext}}
	var taken net.Listener
	opts.Advertise = func(_ int, _ realkafka.Listener, addr string) (string, error) {
		var err error
		if taken == nil {
			taken, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp4", addr)
		}
		return addr, err
	}
	first := kafkatest.Start(t, opts)
	defer func() { _ = taken.Close() }()
	if addr := first.Node(1).Addr(realkafka.Plaintext); addr == taken.Addr().String() {
		t.Errorf("the broker listens at %s, which was taken", addr)
	}
	if err := first.CreateTopic(t.Context(), topic, 1, 1, nil); err != nil {
		t.Fatal(err)
	}
	write(t, first, &kgo.Record{Topic: topic, Value: []byte("x")})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if first.Node(1).Running() {
		t.Error("a node runs after Close")
	}

	second := kafkatest.Start(t, opts)
	got := must.Get[[]realkafka.Record](t)(realkafka.Read(t.Context(), second.Bootstrap(realkafka.Plaintext), topic))
	if len(got) != 1 {
		t.Errorf("read %d records of the first cluster, want 1", len(got))
	}
}

// TestArchiveIsMadeOnce starts two clusters concurrently with an empty cache.
func TestArchiveIsMadeOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: takes 20 s; run without -short")
	}
	if runtime.GOOS != "linux" {
		t.Skip("skipped: only Linux lets a test choose the cache folder, by XDG_CACHE_HOME")
	}
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	var log recorder.Recorder
	opts := realkafka.Options{
		Listeners: []realkafka.Listener{realkafka.Plaintext},
		Log:       slog.New(slog.NewTextHandler(&log, nil)),
	}
	opts.Home = kafkatest.Home(t)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			c, err := realkafka.Start(t.Context(), opts)
			if err != nil {
				t.Error(err)
				return
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(log.String(), "making the class archive"); n != 1 || strings.Contains(log.String(), "WARN") {
		t.Errorf("the archive was made %d times, want once:\n%s", n, log.String())
	}
	made := must.Get[[]string](t)(filepath.Glob(filepath.Join(cache, "userrelay", "kafka-classes", "*.jsa*")))
	if len(made) != 2 || filepath.Ext(made[0]) != ".jsa" || filepath.Ext(made[1]) != ".lock" {
		t.Errorf("in the cache folder: %v, want the archive and its lock", made)
	}
}

func TestStartRefuses(t *testing.T) {
	empty := t.TempDir()
	tests := []struct {
		name string
		opts realkafka.Options
		want string
	}{
		{"no home", realkafka.Options{}, "Home is empty"},
		{"two nodes", realkafka.Options{Home: empty, Nodes: 2}, "1 and 3"},
		{"unknown listener", realkafka.Options{Home: empty, Listeners: []realkafka.Listener{"HTTP"}}, `"HTTP"`},
		{"listener given twice", realkafka.Options{Home: empty, Listeners: []realkafka.Listener{"SSL", "SSL"}}, `"SSL"`},
		{"no jars", realkafka.Options{Home: empty}, "no Kafka 4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := realkafka.Start(t.Context(), tt.opts)
			if c != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got cluster %v and error %v, want one that holds %q", c, err, tt.want)
			}
		})
	}
}

// TestStartSaysWhy checks that the error has the broker's own log if it does not start.
func TestStartSaysWhy(t *testing.T) {
	opts := realkafka.Options{NoArchive: true, Properties: map[string]string{"log.retention.check.interval.ms": "soon"}}
	opts.Home = kafkatest.Home(t)
	c, err := realkafka.Start(t.Context(), opts)
	if c != nil || err == nil || !strings.Contains(err.Error(), "log.retention.check.interval.ms") {
		t.Errorf("got cluster %v and error %v, want one that names the setting", c, err)
	}
}
