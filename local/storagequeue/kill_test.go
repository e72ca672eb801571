package storagequeue_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/local/storagequeue"
	"userrelay/test/wait"
)

const dirVar = "STORAGEQUEUE_TEST_DIR" // set in the process of a server: its folder

// serve is the server's process. It prints its address, and ends when its standard input ends or when it is killed.
func serve(dir string) int {
	s, err := storagequeue.Start(storagequeue.Config{Addr: "127.0.0.1:0", Dir: dir})
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, _ = fmt.Fprintln(os.Stdout, s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Close(); err != nil {
		return 1
	}
	return 0
}

// process is a server in a separate process.
type process struct {
	target
	kill func()
}

func startProcess(t *testing.T, dir string) process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(context.Background(), self)
	command.Env = append(os.Environ(), dirVar+"="+dir) //nolint:forbidigo // the process is this test's own
	command.Stderr = t.Output()
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		_ = command.Process.Kill() // SIGKILL
		_ = command.Wait()         // says that it was killed
		_ = stdin.Close()          // open until now: the server ends with it
	})
	t.Cleanup(kill)
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	return process{target{url: strings.TrimSpace(url), client: client(t, nil)}, kill}
}

// ledger has the answers to clients.
type ledger struct {
	mu      sync.Mutex
	stored  map[string]bool // texts whose put was acknowledged
	deleted map[string]bool // texts whose delete was acknowledged
	begun   map[string]bool // texts whose delete was sent
}

func (l *ledger) note(m map[string]bool, text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	m[text] = true
	return len(m)
}

// TestKilled repeatedly kills a server while clients put, get and delete. Every answer to a client must stay true.
func TestKilled(t *testing.T) {
	t.Parallel()
	const (
		rounds  = 5
		clients = 16
		after   = 300 // acknowledged puts in a round, then it is killed
	)
	dir := t.TempDir()
	l := &ledger{stored: map[string]bool{}, deleted: map[string]bool{}, begun: map[string]bool{}}
	for round := range rounds {
		p := startProcess(t, dir)
		q := p.service(t).NewQueueClient("userrelay-outbox")
		if _, err := q.Create(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		goal := len(l.stored) + after
		var running sync.WaitGroup
		for c := range clients {
			running.Go(func() {
				for i := 0; ; i++ {
					text := fmt.Sprintf("%d %d %d %s", round, c, i, strings.Repeat("x", i%7*300))
					if _, err := q.EnqueueMessage(t.Context(), text, nil); err != nil {
						return // killed
					}
					if l.note(l.stored, text) >= goal {
						p.kill()
						return
					}
					if c%4 == 0 && !deleteOne(t, q, l) {
						return
					}
				}
			})
		}
		running.Wait()
	}
	check(t, startProcess(t, dir).service(t).NewQueueClient("userrelay-outbox"), l)
	if len(l.deleted) == 0 {
		t.Error("nothing was deleted")
	}
	t.Logf("%d puts and %d deletes were acknowledged", len(l.stored), len(l.deleted))
}

// deleteOne receives a message and deletes it. It returns false if the server is gone.
func deleteOne(t *testing.T, q *azqueue.QueueClient, l *ledger) bool {
	t.Helper()
	res, err := q.DequeueMessage(t.Context(), &azqueue.DequeueMessageOptions{VisibilityTimeout: new(int32(1))})
	if err != nil || len(res.Messages) == 0 {
		return err == nil
	}
	m := res.Messages[0]
	l.note(l.begun, *m.MessageText)
	if _, err := q.DeleteMessage(t.Context(), *m.MessageID, *m.PopReceipt, nil); err != nil {
		return strings.Contains(err.Error(), "PopReceiptMismatch") || strings.Contains(err.Error(), "MessageNotFound") // it took a second
	}
	l.note(l.deleted, *m.MessageText)
	return true
}

// check reads the whole queue and compares it with the answers to clients.
func check(t *testing.T, q *azqueue.QueueClient, l *ledger) {
	t.Helper()
	found := make(map[string]bool)
	total := count(t, q)
	wait.For(t, "all messages are visible", func() bool {
		for {
			messages := get(t, q, 32, 600)
			if len(messages) == 0 {
				return len(found) >= total
			}
			for _, m := range messages {
				if found[*m.MessageText] {
					t.Errorf("%q is there twice", *m.MessageText)
				}
				found[*m.MessageText] = true
			}
		}
	})
	for text := range l.deleted {
		if found[text] {
			t.Errorf("%q was deleted and is there", text)
		}
	}
	for text := range l.stored {
		if !found[text] && !l.begun[text] {
			t.Errorf("%q was stored and is not there", text)
		}
	}
}
