package storagequeue_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/local/storagequeue"
	"userrelay/local/storagequeue/internal/store"
)

// backlog is a store with waiting messages of 700 bytes, as in the outbox.
func backlog(b *testing.B, dir string, waiting int) *store.Store {
	b.Helper()
	s, err := store.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	if _, err := s.Create("q", nil); err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("x", 700)
	var running sync.WaitGroup
	for range 200 {
		running.Go(func() {
			for range waiting / 200 {
				if _, err := s.Put("q", text, 0, 0); err != nil {
					b.Error(err)
				}
			}
		})
	}
	running.Wait()
	return s
}

// BenchmarkStore puts, gets and deletes one message after the other while others wait. The time must not grow with
// their number.
func BenchmarkStore(b *testing.B) {
	for _, waiting := range []int{1000, 100_000} {
		for _, where := range []string{"memory", "folder"} {
			b.Run(fmt.Sprintf("%s/%d", where, waiting), func(b *testing.B) {
				dir := ""
				if where == "folder" {
					dir = b.TempDir()
				}
				s := backlog(b, dir, waiting)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Put("q", "x", 0, 0); err != nil {
						b.Fatal(err)
					}
					taken, err := s.Get("q", 1, time.Hour)
					if err != nil || len(taken) != 1 {
						b.Fatal(err, len(taken))
					}
					if err := s.Delete("q", taken[0].ID, taken[0].Receipt); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkService measures each operation separately, through azqueue, with 32 concurrent clients. The clients use
// most of the processors' time.
func BenchmarkService(b *testing.B) {
	for _, waiting := range []int{1000, 100_000} {
		for _, where := range []string{"memory", "folder"} {
			b.Run(fmt.Sprintf("%s/%d", where, waiting), func(b *testing.B) {
				c := storagequeue.Config{Addr: "127.0.0.1:0"}
				if where == "folder" {
					c.Dir = b.TempDir()
				}
				benchmarkService(b, c, waiting)
			})
		}
	}
}

func benchmarkService(b *testing.B, c storagequeue.Config, waiting int) {
	b.Helper()
	s, err := storagequeue.Start(c)
	if err != nil {
		b.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	b.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = s.Close()
	})
	q, err := azqueue.NewQueueClientFromConnectionString(s.ConnectionString(), "userrelay-outbox", &azqueue.ClientOptions{
		ClientOptions: policy.ClientOptions{Transport: &http.Client{Transport: transport}},
	})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := q.Create(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("x", 700)
	inParallel := func(n int, call func() error) {
		var next atomic.Int64
		var running sync.WaitGroup
		for range 32 {
			running.Go(func() {
				for next.Add(1) <= int64(n) {
					if err := call(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		running.Wait()
	}
	put := func() error { _, err := q.EnqueueMessage(b.Context(), text, nil); return err }
	inParallel(waiting, put)
	taken := make(chan *azqueue.DequeuedMessage, max(waiting, 1<<20))
	get := func() error {
		res, err := q.DequeueMessage(b.Context(), &azqueue.DequeueMessageOptions{VisibilityTimeout: new(int32(600))})
		for _, m := range res.Messages {
			taken <- m
		}
		return err
	}
	remove := func() error {
		m := <-taken
		_, err := q.DeleteMessage(b.Context(), *m.MessageID, *m.PopReceipt, nil)
		return err
	}
	measure := func(name string, prepare func(n int), call func() error) {
		b.Run(name, func(b *testing.B) {
			prepare(b.N)
			b.ResetTimer()
			inParallel(b.N, call)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
		})
	}
	measure("put", func(int) {}, put)
	measure("get", func(n int) { inParallel(n, put) }, get)
	measure("delete", func(n int) {
		for len(taken) < n {
			more := n - len(taken)
			inParallel(more, put)
			inParallel(more, get)
		}
	}, remove)
}
