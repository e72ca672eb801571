package storagequeue_test

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/google/go-cmp/cmp"
)

// Part of TestConformance: putting and getting messages.

func (s target) testRoundTrip(t *testing.T) {
	t.Parallel()
	q := s.queue(t)
	for _, text := range []string{
		"hello", base64.StdEncoding.EncodeToString([]byte(`{"specversion":"1.0"}`)), `<a href="x">&amp; 'b'</a>`, "two\nlines\tand a tab",
		"größe 漢字 🦆", "]]>", "x y", "", " x ",
	} {
		sent := put(t, q, text, nil)
		seen := peek(t, q, 1)
		got := getOne(t, q, 60)
		if *got.MessageText != text || len(seen) != 1 || *seen[0].MessageText != text {
			t.Errorf("got %q, want %q", *got.MessageText, text)
		}
		if *got.MessageID != *sent.MessageID || *got.DequeueCount != 1 || *seen[0].DequeueCount != 0 {
			t.Errorf("got message %s, dequeued %d times; want %s, once", *got.MessageID, *got.DequeueCount, *sent.MessageID)
		}
		if !got.InsertionTime.Equal(*sent.InsertionTime) || !got.ExpirationTime.Equal(*sent.ExpirationTime) {
			t.Errorf("inserted %v, expires %v; want %v, %v", got.InsertionTime, got.ExpirationTime, sent.InsertionTime, sent.ExpirationTime)
		}
		if d := got.TimeNextVisible.Sub(*got.InsertionTime); d < time.Minute {
			t.Errorf("visible %v after it was put, want a minute after it was taken", d)
		}
		_, err := q.DeleteMessage(t.Context(), *got.MessageID, *got.PopReceipt, nil)
		if err != nil {
			t.Fatalf("delete: %v", err)
		}
	}
	if n := count(t, q); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}

func (s target) testOrder(t *testing.T) {
	t.Parallel()
	q := s.queue(t)
	var sent []string
	for i := range 40 {
		sent = append(sent, fmt.Sprint("message ", i))
		put(t, q, sent[i], nil)
	}
	if diff := cmp.Diff(sent[:32], texts(peek(t, q, 32), peekedText)); diff != "" {
		t.Errorf("peek (-want +got):\n%s", diff)
	}
	got := texts(get(t, q, 32, 60), textOf)
	got = append(got, texts(get(t, q, 32, 60), textOf)...)
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("get (-want +got):\n%s", diff)
	}
	if more := get(t, q, 32, 60); len(more) != 0 {
		t.Errorf("%d messages are visible that were just taken", len(more))
	}
	if n := count(t, q); n != len(sent) {
		t.Errorf("count %d, want %d, hidden ones too", n, len(sent))
	}
}

func (s target) testParameters(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * 60 * 60
	q := s.queue(t)
	m := put(t, q, "x", nil)
	puts := func(hidden, life *int32) error {
		_, err := q.EnqueueMessage(t.Context(), "x", &azqueue.EnqueueMessageOptions{VisibilityTimeout: hidden, TimeToLive: life})
		return err
	}
	gets := func(n, hidden *int32) error {
		_, err := q.DequeueMessages(t.Context(), &azqueue.DequeueMessagesOptions{NumberOfMessages: n, VisibilityTimeout: hidden})
		return err
	}
	for what, tt := range map[string]struct {
		want string
		err  error
	}{
		"put, hidden -1 s":            {"400 OutOfRangeQueryParameterValue", puts(new(int32(-1)), nil)},
		"put, hidden a week":          {"", puts(new(int32(week)), nil)},
		"put, hidden longer":          {"400 OutOfRangeQueryParameterValue", puts(new(int32(week+1)), nil)},
		"put, life 0":                 {"400 InvalidQueryParameterValue", puts(nil, new(int32(0)))},
		"put, life of 68 years":       {"", puts(nil, new(int32(1<<31-1)))},
		"put, hidden for life":        {"400 InvalidQueryParameterValue", puts(new(int32(60)), new(int32(60)))},
		"put, hidden nearly for life": {"", puts(new(int32(59)), new(int32(60)))},
		"get 33":                      {"400 OutOfRangeQueryParameterValue", gets(new(int32(33)), nil)},
		"get, hidden 0":               {"400 OutOfRangeQueryParameterValue", gets(nil, new(int32(0)))},
		"get, hidden longer":          {"400 OutOfRangeQueryParameterValue", gets(nil, new(int32(week+1)))},
		"peek 33": {"400 OutOfRangeQueryParameterValue", func() error {
			_, err := q.PeekMessages(t.Context(), &azqueue.PeekMessagesOptions{NumberOfMessages: new(int32(33))})
			return err
		}()},
		"update, hidden -1": {"400 OutOfRangeQueryParameterValue", func() error {
			_, err := q.UpdateMessage(t.Context(), *m.MessageID, *m.PopReceipt, "y", &azqueue.UpdateMessageOptions{VisibilityTimeout: new(int32(-1))})
			return err
		}()},
		"update, hidden longer": {"400 OutOfRangeQueryParameterValue", func() error {
			_, err := q.UpdateMessage(t.Context(), *m.MessageID, *m.PopReceipt, "y", &azqueue.UpdateMessageOptions{VisibilityTimeout: new(int32(week + 1))})
			return err
		}()},
	} {
		if tt.want != "" {
			want(t, what, tt.want, nil, tt.err)
		} else if tt.err != nil {
			t.Errorf("%s: %v", what, tt.err)
		}
	}
}
