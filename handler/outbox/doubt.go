package outbox

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// doubt sees every attempt of a request, of which the client tells the last one's end only, and notes where the service
// may have done what it was asked although it did not say so.
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
		doubtful.Store(true) // stored, unless its answer cannot be read; or a fault of which nothing is known
	}
	return resp, err
}

// certainlyNotDone says that a request was not carried out, for a reason that may be over in a moment: there was no
// connection, or the service is too busy. A Put that timed out is not made again, for it would be a copy.
func certainlyNotDone(resp *http.Response, err error) bool {
	if err != nil {
		dial, ok := errors.AsType[*net.OpError](err)
		return ok && dial.Op == "dial"
	}
	return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
}
