package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"userrelay/local/freeport"
	"userrelay/test/bench/report"
	"userrelay/test/child"
	"userrelay/test/load"
)

// relay is a running relay.
type relay struct {
	name    report.Relay
	topic   string
	addr    string
	process *child.Process
	ingest  *ingest // nil: no telemetry
	sum     report.Sum
}

// topicOf returns the name of a relay's topic: each has one of its own.
func topicOf(name report.Relay) string {
	return "bench-" + strings.NewReplacer(",", "", " ", "-", "/", "-").Replace(string(name))
}

// launch starts a relay, and returns when it has given its first answer 200. The caller must stop it.
func (b *bench) launch(ctx context.Context, name report.Relay, brokers []string) (*relay, error) {
	r := &relay{name: name, topic: topicOf(name), sum: report.Sum{Records: -1, Items: -1}}
	port, err := freeport.Find(ctx)
	if err != nil {
		return nil, err
	}
	r.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	spec := child.Spec{Program: b.program("handler"), Args: b.handlerArgs, Env: append([]string{
		"FUNCTIONS_CUSTOMHANDLER_PORT=" + strconv.Itoa(port), "KAFKA_BROKERS=" + strings.Join(brokers, ","), "KAFKA_TOPIC=" + r.topic,
		"AzureWebJobsStorage=UseDevelopmentStorage=true", // the outbox is on, as by default; nothing goes there
		"LOG_LEVEL=error",
		"GOGC=400", "GOMEMLIMIT=128MiB", // what the handler sets for itself (handler/memory.go)
	}, b.settings...)}
	switch name {
	case report.Ours:
	case report.Before:
		spec.Program = b.against
	case report.Telemetry:
		r.ingest = startIngest()
		spec.Env = append(spec.Env, "APPLICATIONINSIGHTS_CONNECTION_STRING="+
			"InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint="+r.ingest.server.URL)
	default:
		spec.Program, spec.Args, spec.Env = b.program("relay"), nil, append(spec.Env, "RELAY="+string(name))
	}
	if r.process, err = child.Start(spec); err != nil {
		r.ingest.stop()
		return nil, err
	}
	if err := r.ready(ctx); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

// stop ends the relay and its telemetry endpoint.
func (r *relay) stop() error {
	err := r.process.Stop()
	r.ingest.stop()
	return err
}

// ready returns when the relay has given its first answer 200.
func (r *relay) ready(ctx context.Context) error {
	const limit, every = time.Minute, 500 * time.Microsecond
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := load.Once(ctx, load.Target{Addr: r.addr})
		if err == nil {
			r.sum.OK++
			return nil
		}
		if gone := r.process.Gone(); gone != nil {
			return fmt.Errorf("wait for %s: %w", r.name, gone)
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: no answer 200 in %v, last: %w", r.name, limit, err)
		}
	}
}

// ingest stands in for Application Insights: it accepts the handler's items, and counts them only on request, to use as
// little processor time as possible during a measurement.
type ingest struct {
	server *httptest.Server
	mu     sync.Mutex
	packed bytes.Buffer // batches that are not counted yet
	count  int64
}

// startIngest starts an endpoint. The caller must stop it.
func startIngest() *ingest {
	i := new(ingest)
	i.server = httptest.NewServer(i)
	return i
}

// stop ends the endpoint, if there is one.
func (i *ingest) stop() {
	if i != nil {
		i.server.CloseClientConnections()
		i.server.Close()
	}
}

// ServeHTTP takes a batch. The answer is that of the ingestion endpoint (Monitor exporters API, v2.1/track), without the
// counts, which the handler does not read after a success.
func (i *ingest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	batch, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	i.packed.Write(batch)
	i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"itemsReceived":0,"itemsAccepted":0,"errors":[]}`) // the handler may have left
}

// items returns how many items have arrived: as soon as there are as many as are wanted, or after a time that is long
// enough for the items of the last second.
func (i *ingest) items(want int64) (int64, error) {
	const patience, every = 2500 * time.Millisecond, 20 * time.Millisecond
	for start := time.Now(); ; <-time.After(every) {
		if err := i.unpack(); err != nil || i.count >= want || time.Since(start) > patience {
			return i.count, err
		}
	}
}

// unpack counts the items of the batches that have arrived: lines in one or more gzip members.
func (i *ingest) unpack() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.packed.Len() == 0 {
		return nil
	}
	z, err := gzip.NewReader(&i.packed)
	if err != nil {
		return fmt.Errorf("unpack the telemetry: %w", err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return fmt.Errorf("unpack the telemetry: %w", err)
	}
	i.count += int64(bytes.Count(text, []byte("\n")))
	return nil
}
