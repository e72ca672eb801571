package storagequeue_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"userrelay/local/storagequeue"
)

// What these tests expect holds for the stand-in and for Azurite; see TestConformance. Where Azurite is not what Microsoft's
// reference says, the stand-in alone is held against the reference, in reference_test.go.

// want checks the outcome of a call. want is "201", or "404 QueueNotFound" for an error.
func want(t *testing.T, what, want string, res *http.Response, err error) {
	t.Helper()
	var got string
	if failure := (*azcore.ResponseError)(nil); errors.As(err, &failure) {
		got = fmt.Sprint(failure.StatusCode, " ", failure.ErrorCode)
		res = failure.RawResponse
	} else if err != nil {
		got = err.Error()
	} else {
		got = strconv.Itoa(res.StatusCode)
	}
	if got != want {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
	if res == nil {
		return
	}
	for _, name := range []string{"X-Ms-Request-Id", "X-Ms-Version", "Date"} {
		if res.Header.Get(name) == "" {
			t.Errorf("%s: the answer has no %s", what, name)
		}
	}
	if code := res.Header.Get("X-Ms-Error-Code"); !strings.HasSuffix(want, code) {
		t.Errorf("%s: the header says %q, want %s", what, code, want)
	}
}

// capture returns a context with which a call leaves its response in res.
func capture(t *testing.T, res **http.Response) context.Context {
	t.Helper()
	return policy.WithCaptureResponse(t.Context(), res)
}

func put(t *testing.T, q *azqueue.QueueClient, text string, o *azqueue.EnqueueMessageOptions) *azqueue.EnqueuedMessage {
	t.Helper()
	res, err := q.EnqueueMessage(t.Context(), text, o)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	if len(res.Messages) != 1 {
		t.Fatalf("put: got %d messages, want 1", len(res.Messages))
	}
	return res.Messages[0]
}

// get takes at most n messages for so many seconds.
func get(t *testing.T, q *azqueue.QueueClient, n, hidden int32) []*azqueue.DequeuedMessage {
	t.Helper()
	res, err := q.DequeueMessages(t.Context(), &azqueue.DequeueMessagesOptions{NumberOfMessages: &n, VisibilityTimeout: &hidden})
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return res.Messages
}

func getOne(t *testing.T, q *azqueue.QueueClient, hidden int32) *azqueue.DequeuedMessage {
	t.Helper()
	found := get(t, q, 1, hidden)
	if len(found) != 1 {
		t.Fatalf("get: got %d messages, want 1", len(found))
	}
	return found[0]
}

func peek(t *testing.T, q *azqueue.QueueClient, n int32) []*azqueue.PeekedMessage {
	t.Helper()
	res, err := q.PeekMessages(t.Context(), &azqueue.PeekMessagesOptions{NumberOfMessages: &n})
	if err != nil {
		t.Fatalf("peek: %v", err)
	}
	return res.Messages
}

func count(t *testing.T, q *azqueue.QueueClient) int {
	t.Helper()
	res, err := q.GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatalf("count: %v", err)
	}
	return int(*res.ApproximateMessagesCount)
}

func texts[M any](messages []M, text func(M) *string) (found []string) {
	for _, m := range messages {
		found = append(found, *text(m))
	}
	return found
}

func textOf(m *azqueue.DequeuedMessage) *string   { return m.MessageText }
func peekedText(m *azqueue.PeekedMessage) *string { return m.MessageText }

// TestConformance runs the same tests on the stand-in and on Azurite.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(t *testing.T) target{
		"stand-in":               func(t *testing.T) target { t.Helper(); return start(t, storagequeue.Config{}) },
		"stand-in with a folder": func(t *testing.T) target { t.Helper(); return start(t, storagequeue.Config{Dir: t.TempDir()}) },
		"azurite":                func(t *testing.T) target { t.Helper(); return azurite(t, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t)
			t.Run("queues", s.testQueues)
			t.Run("no queue", s.testNoQueue)
			t.Run("queue names", s.testQueueNames)
			t.Run("list queues", s.testListQueues)
			t.Run("metadata", s.testMetadata)
			t.Run("round trip", s.testRoundTrip)
			t.Run("order", s.testOrder)
			t.Run("parameters", s.testParameters)
			t.Run("life", s.testLife)
			t.Run("visible again", s.testVisibleAgain)
			t.Run("update", s.testUpdate)
			t.Run("delete unread", s.testDeleteUnread)
			t.Run("clear", s.testClear)
			t.Run("size", s.testSize)
			t.Run("signatures", s.testSignatures)
			t.Run("once per get", s.testOncePerGet)
		})
	}
}

func (s target) testQueues(t *testing.T) {
	t.Parallel()
	q := s.service(t).NewQueueClient("comes-and-goes")
	var res *http.Response
	red := &azqueue.CreateOptions{Metadata: map[string]*string{"colour": new("red")}}
	blue := &azqueue.CreateOptions{Metadata: map[string]*string{"colour": new("blue")}}
	for _, step := range []struct {
		what, want string
		call       func(context.Context) error
	}{
		{"delete what is not there", "404 QueueNotFound", func(ctx context.Context) error { _, err := q.Delete(ctx, nil); return err }},
		{"create", "201", func(ctx context.Context) error { _, err := q.Create(ctx, red); return err }},
		{"again", "204", func(ctx context.Context) error { _, err := q.Create(ctx, red); return err }},
		{"with other metadata", "409 QueueAlreadyExists", func(ctx context.Context) error { _, err := q.Create(ctx, blue); return err }},
		{"without metadata", "409 QueueAlreadyExists", func(ctx context.Context) error { _, err := q.Create(ctx, nil); return err }},
		{"set metadata", "204", func(ctx context.Context) error {
			_, err := q.SetMetadata(ctx, &azqueue.SetMetadataOptions{Metadata: blue.Metadata})
			return err
		}},
		{"create as it is now", "204", func(ctx context.Context) error { _, err := q.Create(ctx, blue); return err }},
		{"put", "201", func(ctx context.Context) error { _, err := q.EnqueueMessage(ctx, "x", nil); return err }},
		{"delete", "204", func(ctx context.Context) error { _, err := q.Delete(ctx, nil); return err }},
		{"delete again", "404 QueueNotFound", func(ctx context.Context) error { _, err := q.Delete(ctx, nil); return err }},
		{"create after all", "201", func(ctx context.Context) error { _, err := q.Create(ctx, nil); return err }},
	} {
		want(t, step.what, step.want, res, step.call(capture(t, &res)))
	}
	if n := count(t, q); n != 0 {
		t.Errorf("%d messages outlived their queue", n)
	}
}

func (s target) testNoQueue(t *testing.T) {
	t.Parallel()
	q := s.service(t).NewQueueClient("nowhere")
	ctx, id := t.Context(), "c9d9b0a5-1f1e-4a7e-9d0b-3a1f0f6a7b11"
	calls := map[string]func() error{
		"metadata":     func() error { _, err := q.GetProperties(ctx, nil); return err },
		"set metadata": func() error { _, err := q.SetMetadata(ctx, nil); return err },
		"put":          func() error { _, err := q.EnqueueMessage(ctx, "x", nil); return err },
		"get":          func() error { _, err := q.DequeueMessages(ctx, nil); return err },
		"peek":         func() error { _, err := q.PeekMessages(ctx, nil); return err },
		"update":       func() error { _, err := q.UpdateMessage(ctx, id, "cmVjZWlwdA==", "x", nil); return err },
		"delete":       func() error { _, err := q.DeleteMessage(ctx, id, "cmVjZWlwdA==", nil); return err },
		"clear":        func() error { _, err := q.ClearMessages(ctx, nil); return err },
	}
	for what, call := range calls {
		want(t, what, "404 QueueNotFound", nil, call())
	}
}

func (s target) testQueueNames(t *testing.T) {
	t.Parallel()
	service := s.service(t)
	for name, outcome := range map[string]string{
		"abc": "201", "123": "201", "a-b-c": "201", strings.Repeat("a", 63): "201", "userrelay-outbox-poison": "201",
		"ab": "400 OutOfRangeInput", strings.Repeat("a", 64): "400 OutOfRangeInput",
		"Outbox": "400 InvalidResourceName", "a--b": "400 InvalidResourceName", "-ab": "400 InvalidResourceName",
		"ab-": "400 InvalidResourceName", "a_b": "400 InvalidResourceName", "a.b": "400 InvalidResourceName",
		"größe": "400 InvalidResourceName",
	} {
		var res *http.Response
		_, err := service.CreateQueue(capture(t, &res), name, nil)
		want(t, "create "+name, outcome, res, err)
	}
}

func (s target) testListQueues(t *testing.T) {
	t.Parallel()
	service := s.service(t)
	for _, name := range []string{"list-a", "list-b", "list-c", "list-d", "list-e", "other"} {
		o := &azqueue.CreateOptions{Metadata: map[string]*string{"named": new(name)}}
		if _, err := service.CreateQueue(t.Context(), name, o); err != nil {
			t.Fatal(err)
		}
	}
	var pages [][]string
	pager := service.NewListQueuesPager(&azqueue.ListQueuesOptions{
		Prefix: new("list-"), MaxResults: new(int32(2)), Include: azqueue.ListQueuesInclude{Metadata: true},
	})
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, q := range page.Queues {
			names = append(names, *q.Name)
			if q.Metadata["named"] == nil || *q.Metadata["named"] != *q.Name {
				t.Errorf("queue %s has lost its metadata", *q.Name)
			}
		}
		pages = append(pages, names)
		if *page.ServiceEndpoint != s.url {
			t.Errorf("service endpoint %s, want %s", *page.ServiceEndpoint, s.url)
		}
	}
	if diff := cmp.Diff([][]string{{"list-a", "list-b"}, {"list-c", "list-d"}, {"list-e"}}, pages); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}

func (s target) testMetadata(t *testing.T) {
	t.Parallel()
	q := s.queue(t)
	for _, values := range []map[string]*string{
		{"one": new("1"), "two_2": new("a b, c=d")}, {"two_2": new("3")}, nil,
	} {
		if _, err := q.SetMetadata(t.Context(), &azqueue.SetMetadataOptions{Metadata: values}); err != nil {
			t.Fatal(err)
		}
		res, err := q.GetProperties(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]*string)
		for name, value := range res.Metadata {
			got[strings.ToLower(name)] = value
		}
		if diff := cmp.Diff(values, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("metadata (-want +got):\n%s", diff)
		}
	}
}

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
	eventually(t, "the message expires", func() bool {
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
		eventually(t, "the message is visible", func() bool {
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
	eventually(t, "the message is visible", func() bool { return len(peek(t, q, 1)) > 0 })
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

// testDeleteUnread is what becomes of a message that was put for the case that Kafka does not answer, when it does.
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
