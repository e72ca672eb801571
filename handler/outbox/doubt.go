package outbox

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// doubt observes every attempt of a request, because the client returns the result of the last one only. It notes
// whether the service may have carried out the request without a successful answer.
type doubt struct{}

type doubtKey struct{}

// withDoubt returns a context for one request, and a function that says whether there is doubt.
func withDoubt(ctx context.Context) (context.Context, func() bool) {
	doubtful := &atomic.Bool{}
	return context.WithValue(ctx, doubtKey{}, doubtful), doubtful.Load
}

// Do is the method of policy.Policy.
func (doubt) Do(r *policy.Request) (*http.Response, error) {
	resp, err := r.Next()
	doubtful, ok := r.Raw().Context().Value(doubtKey{}).(*atomic.Bool)
	if !ok {
		return resp, err
	}
	refused := err == nil && resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusRequestTimeout
	if !refused && !certainlyNotDone(resp, err) {
		doubtful.Store(true) // stored, but the answer cannot be read; or an unknown failure
	}
	return resp, err
}

// certainlyNotDone says that a request was not carried out, for a reason that may be temporary: there was no
// connection, or the service is too busy. A Put that timed out is not repeated, because the repeat could make a copy.
func certainlyNotDone(resp *http.Response, err error) bool {
	if err != nil {
		dial, ok := errors.AsType[*net.OpError](err)
		return ok && dial.Op == "dial"
	}
	return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
}
