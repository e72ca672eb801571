// Ingest stands in for Application Insights in the benchmark: it takes what the handler sends, counts the items and
// keeps nothing. It prints where it listens. GET /items answers the number of items so far. With -hang it takes requests
// and answers none.
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
	"sync/atomic"
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
type counter struct{ items atomic.Int64 }

func (c *counter) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2.1/track", c.track)
	mux.HandleFunc("GET /items", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strconv.FormatInt(c.items.Load(), 10))
	})
	return mux
}

// accepted is the answer of the ingestion endpoint (Monitor exporters API, v2.1/track).
type accepted struct {
	Received int      `json:"itemsReceived"`
	Accepted int      `json:"itemsAccepted"`
	Errors   []string `json:"errors"`
}

func (c *counter) track(w http.ResponseWriter, r *http.Request) {
	n, err := countItems(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.items.Add(int64(n))
	out, err := json.Marshal(accepted{n, n, []string{}})
	if err != nil {
		panic(err) // a struct of numbers
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(out) // the handler may have left
}

const maxBatch = 64 << 20 // bytes, unpacked

// countItems counts the items of a batch: the elements of an array, or a line each. Lines are only counted, which is
// cheap: what the endpoint does costs the relay beside it.
func countItems(r *http.Request) (int, error) {
	src := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
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
