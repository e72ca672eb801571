package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
)

// refusing is a proxy in front of the queue that refuses to delete a message before a client has received it through
// the proxy. It answers as the service does for a missing message.
type refusing struct {
	server  *http.Server
	serving sync.WaitGroup
	storage string // connection string by way of it

	mu      sync.Mutex
	seen    map[string]bool // ids of messages that somebody got
	refused int
}

// startRefusing starts a proxy in front of the queue at addr with the given connection string. The caller must close
// it.
func startRefusing(ctx context.Context, addr, connection string) (*refusing, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the outbox: %w", err)
	}
	p := &refusing{seen: map[string]bool{}, storage: strings.ReplaceAll(connection, addr, listener.Addr().String())}
	forward := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: addr}) },
		ModifyResponse: p.note,
	}
	p.server = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && p.refuse(path.Base(r.URL.Path)) {
			w.Header().Set("X-Ms-Error-Code", "MessageNotFound")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		forward.ServeHTTP(w, r)
	})}
	p.serving.Go(func() { _ = p.server.Serve(listener) }) // until close
	return p, nil
}

// refuse says whether to refuse a deletion, and counts it.
func (p *refusing) refuse(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen[id] {
		return false
	}
	p.refused++
	return true
}

// note records the messages in an answer.
func (p *refusing) note(resp *http.Response) error {
	r := resp.Request
	took := r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/messages") && r.URL.Query().Get("peekonly") == ""
	if !took || resp.StatusCode != http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var list struct {
		Messages []struct {
			MessageID string `xml:"MessageId"`
		} `xml:"QueueMessage"`
	}
	if err := xml.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("read the messages: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range list.Messages {
		p.seen[m.MessageID] = true
	}
	return nil
}

func (p *refusing) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

func (p *refusing) close() error {
	err := p.server.Close()
	p.serving.Wait()
	return err
}
