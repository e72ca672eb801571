// Ingest stands in for Application Insights in the benchmark: it accepts the handler's items, and counts them only on
// request, to use as little processor time as possible during the measurement. It prints its address. GET /items
// answers the number of items so far. With -hang it accepts requests and never answers.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"userrelay/handler/parent"
)

func main() {
	ctx, stop := parent.Context()
	defer stop()
	hang := flag.Bool("hang", false, "take requests and answer none")
	flag.Parse()
	if err := run(ctx, *hang, os.Stdout); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "ingest: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop has been called
	}
}

func run(ctx context.Context, hang bool, stdout io.Writer) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	handler := new(counter).routes()
	if hang {
		handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	_, _ = fmt.Fprintln(stdout, l.Addr())
	select {
	case err = <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	err = server.Close()
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// counter counts items.
type counter struct {
	mu      sync.Mutex
	batches []batch // not counted yet
	items   int
}

// batch is a request's unparsed body.
type batch struct {
	body []byte
	zip  bool
}

func (c *counter) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2.1/track", c.track)
	mux.HandleFunc("GET /items", c.count)
	return mux
}

// taken is the answer of the ingestion endpoint (Monitor exporters API, v2.1/track), without the counts, which the
// relays do not read after a success.
const taken = `{"itemsReceived":0,"itemsAccepted":0,"errors":[]}`

func (c *counter) track(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBatch))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.batches = append(c.batches, batch{body, r.Header.Get("Content-Encoding") == "gzip"})
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, taken) // the handler may have left
}

func (c *counter) count(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.batches {
		n, err := b.items()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		c.items += n
	}
	c.batches = nil
	_, _ = io.WriteString(w, strconv.Itoa(c.items))
}

const maxBatch = 64 << 20 // bytes, unpacked

// items counts the items of a batch: the elements of an array, or a line each.
func (b batch) items() (int, error) {
	src := io.Reader(bytes.NewReader(b.body))
	if b.zip {
		z, err := gzip.NewReader(src)
		if err != nil {
			return 0, fmt.Errorf("unpack the batch: %w", err)
		}
		src = z
	}
	body, err := io.ReadAll(io.LimitReader(src, maxBatch+1))
	if err != nil {
		return 0, fmt.Errorf("read the batch: %w", err)
	}
	if len(body) > maxBatch {
		return 0, errors.New("the batch is too large")
	}
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return 0, nil
	case body[0] == '[':
		var items []jsontext.Value
		if err := json.Unmarshal(body, &items); err != nil {
			return 0, fmt.Errorf("read the array: %w", err)
		}
		return len(items), nil
	default:
		return bytes.Count(body, []byte("\n")) + 1, nil
	}
}
