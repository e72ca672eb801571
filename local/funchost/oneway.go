package funchost

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// handlerTransport sends requests to the handler as .NET's client does: it sends the whole request before it reads the
// answer, and does not pass on informational answers (100 Continue, 103). So the answer is lost if a handler answers
// and closes the connection while the body is still being sent: the body cannot be sent, the request fails, and the
// caller gets 500.
type handlerTransport struct{ *http.Transport }

func newHandlerTransport() handlerTransport {
	return handlerTransport{&http.Transport{
		MaxIdleConnsPerHost: 1 << 16, // .NET keeps every connection
		IdleConnTimeout:     handlerIdleTimeout,
		DisableCompression:  true, // neither ask for it nor undo it
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err //nolint:wrapcheck // the transport looks at it
			}
			return &oneWay{Conn: conn}, nil
		},
	}}
}

// RoundTrip implements [http.RoundTripper].
func (t handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	var conn atomic.Pointer[oneWay]
	ctx := httptrace.WithClientTrace(untraced{req.Context()}, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if c, ok := info.Conn.(*oneWay); ok {
				c.begin()
				conn.Store(c)
			}
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if c := conn.Load(); c != nil {
				c.end(info.Err)
			}
		},
	})
	return t.Transport.RoundTrip(req.WithContext(ctx)) //nolint:wrapcheck,contextcheck // the error of the wrapped transport; the request's own context
}

// untraced is a context without the httptrace of the caller: a proxy's trace would relay informational answers.
type untraced struct{ context.Context } //nolint:containedctx // it is one

func (c untraced) Value(key any) any {
	v := c.Context.Value(key)
	if _, ok := v.(*httptrace.ClientTrace); ok {
		return nil
	}
	return v
}

// oneWay is a connection that delivers no data while a request is being sent.
type oneWay struct {
	net.Conn

	mu      sync.Mutex
	sending chan struct{} // closed when the request has been sent, or cannot be; nil while none is being sent
	failed  error         // why it could not be sent: nothing is delivered any more
}

func (c *oneWay) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sending == nil {
		c.sending = make(chan struct{})
	}
}

func (c *oneWay) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed = err
	}
	if c.sending != nil {
		close(c.sending)
		c.sending = nil
	}
}

// Read implements [net.Conn]. It may have begun to wait long before the request.
func (c *oneWay) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	sending := c.sending
	c.mu.Unlock()
	if sending != nil {
		<-sending
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return 0, c.failed
	}
	return n, err //nolint:wrapcheck // io.EOF has to stay itself
}

// Close implements [net.Conn]. A request whose connection is gone is not sent any more.
func (c *oneWay) Close() error {
	defer c.end(nil)
	return c.Conn.Close() //nolint:wrapcheck // the transport looks at it
}
