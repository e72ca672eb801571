// Package queuetest gives tests a Storage queue service, and clients that have nothing in common with the handler's.
package queuetest

import (
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"

	"userrelay/local/storagequeue"
	"userrelay/test/must"
)

// Start starts the stand-in of the service, which ends with the test. Without an address it takes a free port of loopback.
func Start(tb testing.TB, c storagequeue.Config) *storagequeue.Server {
	tb.Helper()
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	s := must.Get[*storagequeue.Server](tb)(storagequeue.Start(c))
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close the queue service: %v", err)
		}
	})
	return s
}

// Open returns the client of a queue, which need not be there.
func Open(tb testing.TB, connection, name string) *azqueue.QueueClient {
	tb.Helper()
	closing := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no connection outlives the test
	return must.Get[*azqueue.QueueClient](tb)(azqueue.NewQueueClientFromConnectionString(connection, name, &azqueue.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: closing, Retry: policy.RetryOptions{MaxRetries: -1}},
	}))
}

// Make returns the client of a queue, which it makes where it is not there.
func Make(tb testing.TB, connection, name string) *azqueue.QueueClient {
	tb.Helper()
	q := Open(tb, connection, name)
	must.Get[azqueue.CreateResponse](tb)(q.Create(tb.Context(), nil))
	return q
}

// Put puts a message into a queue, as it is: the handler's are in base64.
func Put(tb testing.TB, q *azqueue.QueueClient, text string) {
	tb.Helper()
	must.Get[azqueue.EnqueueMessagesResponse](tb)(q.EnqueueMessage(tb.Context(), text, nil))
}

// Count is how many messages a queue has, those that are hidden included. A queue that is not there has none.
func Count(tb testing.TB, q *azqueue.QueueClient) int {
	tb.Helper()
	properties, err := q.GetProperties(tb.Context(), nil)
	if queueerror.HasCode(err, queueerror.QueueNotFound) {
		return 0
	}
	if err != nil {
		tb.Fatal(err)
	}
	return int(*properties.ApproximateMessagesCount)
}
