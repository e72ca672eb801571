package ingest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/klauspost/compress/gzip" // half the time of compress/gzip; a dependency of the Kafka client anyway
)

const (
	attemptTimeout = 10 * time.Second // for a request, including its token, redirects and answer
	maxAnswer      = 1 << 20          // bytes of an answer that are read; one for 1,000 items is about 150 KB
)

// poster makes requests to the endpoint. It is used by one goroutine.
type poster struct {
	// A transport instead of a client, because a client follows redirects to any host, and a 301 with a GET.
	transport http.RoundTripper
	endpoint  *url.URL
	moved     *url.URL                              // where the last accepted request was redirected to; nil: it was not
	token     func(context.Context) (string, error) // nil: none is sent
	zip       *gzip.Writer
}

func newPoster(endpoint *url.URL, token func(context.Context) (string, error), transport http.RoundTripper) *poster {
	if transport == nil {
		transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			IdleConnTimeout:     90 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConns:        4, // for one request at a time, and redirects
		}
	}
	if token != nil && !confidential(endpoint) {
		token = func(context.Context) (string, error) { return "", errOpenly }
	}
	// The fastest level: the next one takes a fifth longer and does not compress these similar lines better.
	zip, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level is valid
	return &poster{transport: transport, endpoint: endpoint, token: token, zip: zip}
}

// pack returns the compressed lines as a request's body. The transport may still read it after the request has ended,
// so it is never reused.
func (p *poster) pack(lines []byte) []byte {
	packed := bytes.NewBuffer(make([]byte, 0, len(lines)/8))
	p.zip.Reset(packed)
	_, _ = p.zip.Write(lines) // into memory
	_ = p.zip.Close()
	return packed.Bytes()
}

var (
	errToken   = errors.New("no token from the managed identity")
	errOpenly  = errors.New("a token must not be sent unencrypted")
	errForever = errors.New("redirected more than 10 times")
)

// post sends lines and returns the endpoint's answer. An error of errToken means that nothing was sent.
func (p *poster) post(ctx context.Context, lines []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	bearer := ""
	if p.token != nil {
		token, err := p.token(ctx)
		if err != nil {
			return answer{}, fmt.Errorf("%w: %w", errToken, err)
		}
		bearer = "Bearer " + token
	}
	body, target := p.pack(lines), p.endpoint
	if p.moved != nil {
		target = p.moved
	}
	p.moved = nil // stored again after a success
	for range maxHops + 1 {
		a, location, err := p.once(ctx, target, bearer, body)
		if err != nil {
			return answer{}, err
		}
		if isRedirect(a.status) {
			if next := redirected(p.endpoint, target, location); next != nil {
				target = next
				continue
			}
		}
		if f := a.fate(); target != p.endpoint && (f == accepted || f == partly) {
			p.moved = target
		}
		return a, nil
	}
	return answer{}, errForever
}

// once makes one request.
func (p *poster) once(ctx context.Context, to *url.URL, bearer string, body []byte) (_ answer, location string, _ error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, "", fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-json-stream")
	req.Header.Set("Content-Encoding", "gzip")
	// Without an Accept-Encoding net/http requests gzip and decompresses it.
	if bearer != "" {
		req.Header.Set("Authorization", bearer)
	}
	res, err := p.transport.RoundTrip(req)
	if err != nil {
		return answer{}, "", fmt.Errorf("post items: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil && res.StatusCode == http.StatusPartialContent {
		text = nil // the results of the items are lost; for other answers the status is enough
	}
	return answer{
		status:     res.StatusCode,
		retryAfter: retryAfter(res.Header.Get("Retry-After"), time.Now()),
		body:       text,
	}, res.Header.Get("Location"), nil
}

// closeIdle closes the connections that are open for the next request.
func (p *poster) closeIdle() {
	if t, ok := p.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// why describes an error without any text that the endpoint or the identity service sent.
func why(err error) string {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "no answer in time"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "the endpoint's name is not known"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the endpoint's certificate is not trusted"
	}
	for _, known := range []error{errOpenly, errToken, errForever} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return "no connection"
	}
	return "the connection broke"
}
