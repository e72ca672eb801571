package funchost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// hostVersion is the release that this package follows.
const hostVersion = "4.1037.0.0"

const (
	headerInvocationID = "X-Azure-Functions-InvocationId"
	headerHostVersion  = "X-Azure-Functions-HostVersion"
	userAgent          = "Azure-Functions-Host/" + hostVersion
)

// answer is a complete response of the handler.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// forward passes the request to the handler as enableForwardingHttpRequest does: it builds a new request, and reads
// the whole body and the whole answer first. An error means that the client gets 500.
//
// If a kept connection turns out to be closed, a request without a body is tried again, and one with a body is not.
// Both net/http and .NET do that.
func (h *Host) forward(ctx context.Context, r *http.Request, op *operation) (*answer, error) {
	if r.ContentLength < 0 {
		return nil, errors.New("a chunked request cannot be forwarded")
	}
	if r.ContentLength > h.app.bodyLimit {
		return nil, errTooLarge
	}
	contentType := r.Header.Get("Content-Type")
	if r.ContentLength > 0 && contentType != "" && !validMediaType(contentType) {
		return nil, errors.New("the Content-Type cannot be parsed")
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	target := url.URL{Scheme: "http", Host: h.handlerAddr, Path: r.URL.Path, RawQuery: mergeQuery(r.URL.RawQuery)}
	req, err := http.NewRequestWithContext(ctx, r.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("build the request: %w", err)
	}
	req.GetBody = nil // a body is sent once
	req.Host = r.Host
	req.Header = forwardHeader(r.Header, len(body) > 0, op.id)
	if h.insights && req.Header.Get("Traceparent") == "" {
		req.Header.Set("Traceparent", op.traceparent(h.rows.calls))
	}
	resp, err := h.calls(op).RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("call the handler: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < http.StatusOK {
		return nil, fmt.Errorf("the handler answered %d", resp.StatusCode)
	}
	a := &answer{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		return nil, fmt.Errorf("read the handler's answer: %w", err)
	}
	return a, nil
}

// readBody reads a body of known length within the limit.
func readBody(r *http.Request) ([]byte, error) {
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	return body, nil
}

// write sends the answer to the client.
func (a *answer) write(w http.ResponseWriter) {
	header := w.Header()
	maps.Copy(header, a.header)
	if _, ok := header["Content-Type"]; !ok {
		header["Content-Type"] = nil // keeps net/http from guessing one
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) //nolint:gosec // G705: relaying the handler's answer is the purpose. The client may be gone
}

// forwardHeader builds the headers for the handler from the client's. It copies all, repeated ones as one line. Of the
// headers that describe the body it copies only Content-Type, and only if there is a body.
func forwardHeader(client http.Header, hasBody bool, id string) http.Header {
	header := make(http.Header, len(client)+3)
	for name, values := range client {
		if !describesBody(name) {
			header.Set(name, strings.Join(values, ", "))
		}
	}
	if contentType := client.Get("Content-Type"); hasBody && contentType != "" {
		header.Set("Content-Type", contentType)
	}
	add(header, headerHostVersion, ", ", hostVersion)
	add(header, headerInvocationID, ", ", id)
	add(header, "User-Agent", " ", userAgent)
	return header
}

// add appends to the line of a header.
func add(header http.Header, name, separator, value string) {
	if old := header.Get(name); old != "" {
		value = old + separator + value
	}
	header.Set(name, value)
}

// describesBody lists the headers that .NET treats as headers of the body and not of the request.
func describesBody(name string) bool {
	switch name {
	case "Allow", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Location",
		"Content-Md5", "Content-Range", "Content-Type", "Expires", "Last-Modified":
		return true
	}
	return false
}

func validMediaType(s string) bool {
	media, _, err := mime.ParseMediaType(s)
	return err == nil && strings.Contains(media, "/")
}
