package storagequeue_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/test/wait"
)

// Part of TestConformance: the lifetime of messages.

func (s target) testLife(t *testing.T) {
	t.Parallel()
	q := s.queue(t)
	byDefault := put(t, q, "x", nil)
	if d := byDefault.ExpirationTime.Sub(*byDefault.InsertionTime); d != 7*24*time.Hour {
		t.Errorf("a message lives for %v, want a week", d)
	}
	if d := byDefault.TimeNextVisible.Sub(*byDefault.InsertionTime); d != 0 {
		t.Errorf("a message is visible after %v, want at once", d)
	}
	forever := put(t, q, "x", &azqueue.EnqueueMessageOptions{TimeToLive: new(int32(-1)), VisibilityTimeout: new(int32(90))})
	if y := forever.ExpirationTime.Year(); y != 9999 {
		t.Errorf("a message that lives for ever expires in %d", y)
	}
	if d := forever.TimeNextVisible.Sub(*forever.InsertionTime); d != 90*time.Second {
		t.Errorf("the message is visible after %v, want 90 s", d)
	}
	short := put(t, q, "short", &azqueue.EnqueueMessageOptions{TimeToLive: new(int32(1))})
	wait.For(t, "the message expires", func() bool {
		_, err := q.UpdateMessage(t.Context(), *short.MessageID, "bm90IHRoaXM=", "y", nil)
		failure := (*azcore.ResponseError)(nil)
		return errors.As(err, &failure) && failure.ErrorCode == "MessageNotFound"
	})
	_, err := q.DeleteMessage(t.Context(), *short.MessageID, *short.PopReceipt, nil)
	want(t, "delete what has expired", "404 MessageNotFound", nil, err)
	if got := texts(get(t, q, 32, 60), textOf); len(got) != 1 || got[0] != "x" {
		t.Errorf("got %q, want the one message that is visible", got)
	}
}

func (s target) testVisibleAgain(t *testing.T) {
	t.Parallel()
	q := s.queue(t)
	sent := put(t, q, "x", &azqueue.EnqueueMessageOptions{VisibilityTimeout: new(int32(1))})
	receipts := []string{*sent.PopReceipt}
	for try := int64(1); try <= 2; try++ {
		var found []*azqueue.DequeuedMessage
		wait.For(t, "the message is visible", func() bool {
			found = get(t, q, 32, 1)
			return len(found) > 0
		})
		if *found[0].MessageID != *sent.MessageID || *found[0].DequeueCount != try {
			t.Errorf("got message %s, dequeued %d times; want %s, %d times", *found[0].MessageID, *found[0].DequeueCount, *sent.MessageID, try)
		}
		receipts = append(receipts, *found[0].PopReceipt)
	}
	for i, receipt := range receipts[:2] {
		_, err := q.DeleteMessage(t.Context(), *sent.MessageID, receipt, nil)
		want(t, fmt.Sprint("delete with receipt ", i), "400 PopReceiptMismatch", nil, err)
		_, err = q.UpdateMessage(t.Context(), *sent.MessageID, receipt, "y", nil)
		want(t, fmt.Sprint("update with receipt ", i), "400 PopReceiptMismatch", nil, err)
	}
	wait.For(t, "the message is visible", func() bool { return len(peek(t, q, 1)) > 0 })
	var res *http.Response
	_, err := q.DeleteMessage(capture(t, &res), *sent.MessageID, receipts[2], nil)
	want(t, "delete what is visible again, and nobody else has taken", "204", res, err)
	_, err = q.DeleteMessage(t.Context(), *sent.MessageID, receipts[2], nil)
	want(t, "delete again", "404 MessageNotFound", nil, err)
	_, err = q.UpdateMessage(t.Context(), *sent.MessageID, receipts[2], "y", nil)
	want(t, "update what is gone", "404 MessageNotFound", nil, err)
}

func (s target) testUpdate(t *testing.T) {
	t.Parallel()
	q := s.queue(t)
	put(t, q, "first", nil)
	got := getOne(t, q, 60)
	var res *http.Response
	longer, err := q.UpdateMessage(capture(t, &res), *got.MessageID, *got.PopReceipt, "second", &azqueue.UpdateMessageOptions{VisibilityTimeout: new(int32(120))})
	want(t, "update", "204", res, err)
	if err != nil {
		t.FailNow()
	}
	if *longer.PopReceipt == *got.PopReceipt || longer.TimeNextVisible.Sub(*got.InsertionTime) < 2*time.Minute {
		t.Errorf("the receipt is %q, visible at %v; want another one, and in two minutes", *longer.PopReceipt, longer.TimeNextVisible)
	}
	if more := get(t, q, 1, 60); len(more) != 0 {
		t.Error("an update has made the message visible")
	}
	_, err = q.UpdateMessage(t.Context(), *got.MessageID, *got.PopReceipt, "third", nil)
	want(t, "update with the old receipt", "400 PopReceiptMismatch", nil, err)
	_, err = q.UpdateMessage(t.Context(), *got.MessageID, *longer.PopReceipt, "third", &azqueue.UpdateMessageOptions{VisibilityTimeout: new(int32(0))})
	if err != nil {
		t.Fatal(err)
	}
	again := getOne(t, q, 60)
	if *again.MessageText != "third" || *again.DequeueCount != 2 || *again.MessageID != *got.MessageID {
		t.Errorf("got %q, dequeued %d times; want third, twice", *again.MessageText, *again.DequeueCount)
	}
}

// testDeleteUnread deletes a message that was not received, as the handler does after Kafka's late answer.
func (s target) testDeleteUnread(t *testing.T) {
	t.Parallel()
	q := s.queue(t)
	sent := put(t, q, "x", &azqueue.EnqueueMessageOptions{VisibilityTimeout: new(int32(90)), TimeToLive: new(int32(-1))})
	var res *http.Response
	_, err := q.DeleteMessage(capture(t, &res), *sent.MessageID, *sent.PopReceipt, nil)
	want(t, "delete with the receipt of put", "204", res, err)
	if n := count(t, q); n != 0 {
		t.Errorf("%d messages are left", n)
	}
	_, err = q.DeleteMessage(t.Context(), "c9d9b0a5-1f1e-4a7e-9d0b-3a1f0f6a7b11", *sent.PopReceipt, nil)
	want(t, "delete what never was", "404 MessageNotFound", nil, err)
}

func (s target) testClear(t *testing.T) {
	t.Parallel()
	q := s.queue(t)
	for range 3 {
		put(t, q, "x", nil)
	}
	getOne(t, q, 60)
	var res *http.Response
	_, err := q.ClearMessages(capture(t, &res), nil)
	want(t, "clear", "204", res, err)
	if n := count(t, q); n != 0 {
		t.Errorf("%d messages are left", n)
	}
	put(t, q, "after", nil)
	if got := texts(peek(t, q, 32), peekedText); len(got) != 1 || got[0] != "after" {
		t.Errorf("got %q, want what was put after", got)
	}
}

func (s target) testSize(t *testing.T) {
	t.Parallel()
	q := s.queue(t)
	most := base64.StdEncoding.EncodeToString(make([]byte, 48<<10)) // 64 KiB
	put(t, q, most, nil)
	_, err := q.EnqueueMessage(t.Context(), most+"=", nil)
	want(t, "one byte more", "413 RequestBodyTooLarge", nil, err)
	_, err = q.EnqueueMessage(t.Context(), strings.Repeat("ü", 32<<10)+"u", nil)
	want(t, "fewer letters, but more bytes", "413 RequestBodyTooLarge", nil, err)
	put(t, q, strings.Repeat("&", 64<<10), nil) // fits, although the request has five times as many bytes
	got := getOne(t, q, 60)
	if *got.MessageText != most {
		t.Error("the largest message is not what it was")
	}
	_, err = q.UpdateMessage(t.Context(), *got.MessageID, *got.PopReceipt, most+"=", nil)
	want(t, "update to one byte more", "413 RequestBodyTooLarge", nil, err)
}

func (s target) testOncePerGet(t *testing.T) {
	t.Parallel()
	const clients, each = 8, 20
	q := s.queue(t)
	var running sync.WaitGroup
	for c := range clients {
		running.Go(func() {
			for i := range each {
				if _, err := q.EnqueueMessage(t.Context(), fmt.Sprint(c, " ", i), nil); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	running.Wait()
	found := make(chan string, clients*each*2)
	for range clients {
		running.Go(func() {
			for {
				res, err := q.DequeueMessages(t.Context(), &azqueue.DequeueMessagesOptions{NumberOfMessages: new(int32(5)), VisibilityTimeout: new(int32(600))})
				if err != nil {
					t.Errorf("get: %v", err)
					return
				}
				if len(res.Messages) == 0 {
					return
				}
				for _, m := range res.Messages {
					found <- *m.MessageText
				}
			}
		})
	}
	running.Wait()
	close(found)
	times := make(map[string]int)
	for text := range found {
		times[text]++
	}
	for text, n := range times {
		if n != 1 {
			t.Errorf("message %q was taken %d times", text, n)
		}
	}
	if len(times) != clients*each {
		t.Errorf("%d messages were taken, want %d", len(times), clients*each)
	}
}
