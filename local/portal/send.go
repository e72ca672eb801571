package portal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	sendMost   = 500      // requests that one click sends
	sendAtOnce = 16       // at the same time
	sendBody   = 64 << 10 // bytes, before placeholders are replaced

	// The handler answers within 4 s; after a crash the host needs some seconds to start it again.
	registerLimit = 15 * time.Second
)

// order is a request of the page to send registrations.
type order struct {
	// Body is sent unchanged, except {{id}}, which becomes 24 new hexadecimal digits in each request, and {{now}}, the
	// time.
	Body           string `json:"body"`
	ContentType    string `json:"contentType"` // "": none
	IdempotencyKey string `json:"idempotencyKey"`
	Count          int    `json:"count"`
	WithoutKey     bool   `json:"withoutKey"` // to see what a caller without the function's key gets
}

// sentReport is the result.
type sentReport struct {
	Statuses map[string]int `json:"statuses"` // how often each came; "none": no answer
	TookMs   float64        `json:"tookMs"`   // all of them
	// First is the first request's.
	First struct {
		Body   string `json:"body"`
		Status int    `json:"status"`
		Answer string `json:"answer"`
	} `json:"first"`
}

func (p *Portal) send(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 4*sendBody), &o); err != nil || len(o.Body) > sendBody || o.Count < 1 || o.Count > sendMost {
		http.Error(w, fmt.Sprintf("the body must be {\"body\": \"…\", \"count\": 1 to %d}", sendMost), http.StatusBadRequest)
		return
	}
	f := p.function.Load()
	if f == nil {
		http.Error(w, "there is no function (yet)", http.StatusNotFound)
		return
	}
	url := f.URL
	if o.WithoutKey {
		url, _, _ = strings.Cut(url, "?")
	}
	report, err := sendAll(r.Context(), url, o)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	writeJSON(w, http.StatusOK, report)
}

// sendAll sends the requests of an order. It returns an error if none could be sent.
func sendAll(ctx context.Context, url string, o order) (sentReport, error) {
	report := sentReport{Statuses: map[string]int{}}
	var mu sync.Mutex
	var sending sync.WaitGroup
	numbers := make(chan int)
	start := time.Now()
	for range min(sendAtOnce, o.Count) {
		sending.Go(func() {
			for i := range numbers {
				body := fill(o.Body)
				status, answer, err := post(ctx, url, body, o)
				key := strconv.Itoa(status)
				if err != nil {
					key = "none"
				}
				mu.Lock()
				report.Statuses[key]++
				if i == 0 {
					report.First.Body, report.First.Status, report.First.Answer = body, status, answer
				}
				mu.Unlock()
			}
		})
	}
	for i := range o.Count {
		numbers <- i
	}
	close(numbers)
	sending.Wait()
	report.TookMs = float64(time.Since(start).Microseconds()) / 1e3
	if report.Statuses["none"] == o.Count {
		return sentReport{}, errors.New("the function cannot be reached")
	}
	return report, nil
}

// fill replaces the placeholders of a request.
func fill(body string) string {
	id := make([]byte, 12)
	_, _ = rand.Read(id) // never fails
	return strings.NewReplacer("{{id}}", hex.EncodeToString(id), "{{now}}", time.Now().UTC().Format("2006-01-02T15:04:05.000Z")).Replace(body)
}

// post sends a request.
func post(ctx context.Context, url, body string, o order) (status int, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, registerLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, "", fmt.Errorf("make the request: %w", err)
	}
	if o.ContentType != "" {
		req.Header.Set("Content-Type", o.ContentType)
	}
	if o.IdempotencyKey != "" {
		req.Header.Set("Idempotency-Key", fill(o.IdempotencyKey))
	}
	req.Close = true
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, "", fmt.Errorf("send it: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, sendBody))
	if err != nil {
		return 0, "", fmt.Errorf("read the answer: %w", err)
	}
	return res.StatusCode, string(text), nil
}

// resent is the result of resending poisoned messages.
type resent struct {
	Sent int `json:"sent"`
	Left int `json:"left"` // that cannot be drained
}

func (p *Portal) resend(w http.ResponseWriter, r *http.Request) {
	if p.config.Outbox == nil {
		http.Error(w, "no outbox is configured", http.StatusNotFound)
		return
	}
	sent, left, err := p.config.Outbox.Resend(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	writeJSON(w, http.StatusOK, resent{sent, left})
}
