package funchost

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

const (
	rowInterval = time.Second // between two batches
	rowsWaiting = 10_000      // more are dropped
	rowLimit    = time.Second // for a batch
)

// rowSender posts rows in batches. It tries each batch once: rows that the endpoint does not accept are lost.
type rowSender struct {
	url    string
	rows   chan []byte
	client *http.Client
}

func newRowSender(url string) *rowSender {
	return &rowSender{url: url, rows: make(chan []byte, rowsWaiting), client: &http.Client{Transport: &http.Transport{}}}
}

func (s *rowSender) put(row []byte) {
	select {
	case s.rows <- row:
	default:
	}
}

// run posts until ctx ends, and then the remaining rows.
func (s *rowSender) run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	tick := time.NewTicker(rowInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.post(ctx)
		case <-ctx.Done():
			s.post(ctx)
			return
		}
	}
}

// post sends the waiting rows.
func (s *rowSender) post(ctx context.Context) {
	var batch bytes.Buffer
	for n := len(s.rows); n > 0; n-- {
		batch.Write(<-s.rows)
		batch.WriteByte('\n')
	}
	if batch.Len() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rowLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, &batch)
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/x-json-stream")
	resp, err := s.client.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}
