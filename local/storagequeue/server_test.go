package storagequeue_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/local/storagequeue"
)

// connect returns the client of a queue, from a server's connection string.
func connect(t *testing.T, s *storagequeue.Server) *azqueue.QueueClient {
	t.Helper()
	q, err := azqueue.NewQueueClientFromConnectionString(s.ConnectionString(), "userrelay-outbox", target{client: client(t, nil)}.options())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestRestart(t *testing.T) {
	t.Parallel()
	c := storagequeue.Config{Addr: "127.0.0.1:0", Dir: filepath.Join(t.TempDir(), "made", "if need be")}
	s, err := storagequeue.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	q := connect(t, s)
	if q.URL() != s.URL()+"/userrelay-outbox" {
		t.Errorf("the queue's address is %s, the service's %s", q.URL(), s.URL())
	}
	if _, err := q.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	put(t, q, "x", nil)
	if _, err := storagequeue.Start(c); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("two servers have one folder: %v", err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if _, err := q.PeekMessages(t.Context(), nil); err == nil {
		t.Error("a closed server answers")
	}
	if s, err = storagequeue.Start(c); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if m := getOne(t, connect(t, s), 60); *m.MessageText != "x" {
		t.Errorf("got %q", *m.MessageText)
	}
}

func TestRefusedConfigs(t *testing.T) {
	t.Parallel()
	damaged := t.TempDir()
	writeFile(t, filepath.Join(damaged, "queues.db"), []byte("somebody's notes"))
	file := filepath.Join(damaged, "queues.db")
	for want, c := range map[string]storagequeue.Config{
		"0.0.0.0:0 is not":       {Addr: "0.0.0.0:0"},
		":0 is not":              {Addr: ":0"},
		"192.0.2.1:10001 is not": {Addr: "192.0.2.1:10001"},
		"example.com:0 is not":   {Addr: "example.com:0"},
		"missing port":           {Addr: "127.0.0.1"},
		"invalid database":       {Addr: "127.0.0.1:0", Dir: damaged},
		"make the folder":        {Addr: "127.0.0.1:0", Dir: file},
		"address already in use": {Addr: strings.TrimSuffix(strings.TrimPrefix(start(t, storagequeue.Config{}).url, "http://"), "/"+account), Dir: t.TempDir()},
	} {
		s, err := storagequeue.Start(c)
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", c, err, want)
		}
	}
	if notes, err := os.ReadFile(file); err != nil || string(notes) != "somebody's notes" {
		t.Errorf("what was in the folder is now %q, %v", notes, err)
	}
}
