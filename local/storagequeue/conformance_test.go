package storagequeue_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/local/storagequeue"
)

// The expectations of these tests hold for the stand-in and for Azurite; see TestConformance. If Azurite differs from
// Microsoft's reference, reference_test.go compares only the stand-in with the reference.

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

// capture returns a context with which a call stores its response in res.
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

// get receives at most n messages and hides them for some seconds.
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
