package funchost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"
)

const (
	proxyAttempts   = 10
	proxyFirstDelay = 50 * time.Millisecond
	proxyMaxDelay   = 250 * time.Millisecond
)

// proxy streams the request to the handler and the answer back, as enableProxyingHttpRequest does. The handler notices
// when the client disconnects. An error means that the client gets 500, except errAborted.
func (h *Host) proxy(ctx context.Context, w http.ResponseWriter, r *http.Request, op *operation) (err error) {
	if r.ContentLength > h.app.bodyLimit {
		return errTooLarge
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(pr *httputil.ProxyRequest) { h.rewrite(pr, op) },
		Transport:     retrying{h.calls(op)},
		FlushInterval: -1,
		ModifyResponse: func(resp *http.Response) error {
			if resp.Header.Get("Server") != "" {
				w.Header().Del("Server")
			}
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, e error) { err = fmt.Errorf("proxy to the handler: %w", e) },
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // its error is returned
	}
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler: // an incomplete answer
			err = errAborted
		default:
			panic(v)
		}
		if err != nil && errors.Is(context.Cause(ctx), context.Canceled) {
			err = errClientGone
		}
	}()
	w.Header()["Content-Type"] = nil // keeps net/http from guessing one
	out := r.WithContext(ctx)
	if out.Body, err = whole(w, r, h.app.bodyLimit); err != nil {
		return err
	}
	proxy.ServeHTTP(w, out)
	return err
}

// whole returns the request's body. A body of known length is in memory, because the host's HTTP trigger reads it
// before the request is proxied.
func whole(w http.ResponseWriter, r *http.Request, limit int64) (io.ReadCloser, error) {
	if r.ContentLength <= 0 {
		return http.MaxBytesReader(w, r.Body, limit), nil
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// rewrite makes the outgoing request. Hop-by-hop and X-Forwarded headers have been removed already.
func (h *Host) rewrite(pr *httputil.ProxyRequest, op *operation) {
	pr.Out.URL.Scheme, pr.Out.URL.Host = "http", h.handlerAddr
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery
	pr.Out.Host = h.handlerAddr
	pr.SetXForwarded()
	for _, name := range []string{"Te", "Alt-Svc", "Upgrade-Insecure-Requests", "X-Forwarded-Prefix"} {
		pr.Out.Header.Del(name)
	}
	pr.Out.Header.Set(headerInvocationID, op.id)
	pr.Out.Header.Set("X-Ms-Invocation-Id", op.id)
	pr.Out.Header.Set(headerHostVersion, hostVersion)
	if h.insights && pr.Out.Header.Get("Traceparent") == "" {
		pr.Out.Header.Set("Traceparent", op.traceparent(h.rows.calls))
	}
}

// retrying tries a request again for about two seconds while the handler cannot be reached, or drops the connection. A
// body can be sent only once: after a part of it was read, the remaining attempts fail without reaching the handler,
// but still take their time.
type retrying struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t retrying) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, body := req.Context(), &onceBody{}
	if req.Body != nil {
		body.Reader = req.Body
		req = req.Clone(ctx)
		req.Body = body
	}
	delay := proxyFirstDelay
	var resp *http.Response
	var err error
	for attempt := 1; ; attempt++ {
		if attempt == 1 || !body.started.Load() {
			resp, err = t.RoundTripper.RoundTrip(req)
		}
		if err == nil || attempt == proxyAttempts || ctx.Err() != nil {
			return resp, err //nolint:wrapcheck // a RoundTripper passes on the error of the wrapped one
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), err)
		case <-time.After(delay):
		}
		delay = min(2*delay, proxyMaxDelay)
	}
}

// onceBody knows whether it was read from. Close does nothing, because a failed attempt closes the body and the next
// one needs it; the server closes the wrapped body.
type onceBody struct {
	io.Reader
	started atomic.Bool
}

func (b *onceBody) Read(p []byte) (int, error) {
	b.started.Store(true)
	return b.Reader.Read(p) //nolint:wrapcheck // io.EOF has to stay itself
}

func (*onceBody) Close() error { return nil }
