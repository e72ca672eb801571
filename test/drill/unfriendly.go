package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"userrelay/local/realkafka"
	"userrelay/test/child"
	"userrelay/test/drill/audit"
	"userrelay/test/drill/report"
)

const (
	normalRate = 20 // requests a second of the well-behaved client
	// File descriptors for the drill, the brokers' connections and the handler, besides idle connections.
	spareFiles = 2000
	mostIdle   = 250 // MiB, of the handler with all idle connections open
	// With large bodies in addition: the handler holds 64 MiB of them at a time.
	mostMemory = mostIdle + 2*64
	// The handler's limits are 5 s for a header and 10 s for a whole request.
	headerWithin  = 7 * time.Second
	requestWithin = 12 * time.Second
	handlerReady  = 30 * time.Second
)

// unfriendly has misbehaving clients that connect to the handler directly.
func unfriendly(ctx context.Context, r *rig, row *report.Row) (err error) {
	const topic = "drill-unfriendly"
	if err := r.cluster.CreateTopic(ctx, topic, partitions, 0, nil); err != nil {
		return err
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(addr) // freeAddr joined them
	env := append(settings(r.cluster.Bootstrap(realkafka.Plaintext), topic, r.queue.connection), "FUNCTIONS_CUSTOMHANDLER_PORT="+port)
	p, err := child.Start(child.Spec{Program: r.program("handler"), Env: env, Stderr: r.output})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Kill()) }()
	l := newCallers("http://"+addr+"/api/RegisterUser", "normal")
	defer l.close()
	if err := poll(ctx, "wait for the handler's first answer 200", handlerReady, func(ctx context.Context) (bool, error) {
		return l.send(ctx, time.Now()).Status == http.StatusOK, nil
	}); err != nil {
		return err
	}
	from := time.Now()
	err = l.atRate(ctx, normalRate, func(ctx context.Context) error {
		u := &rude{addr: addr}
		for _, f := range []func(context.Context, *rig, *report.Row, int) error{u.trickle, u.idle, u.large, u.malformed} {
			if err := f(ctx, r, row, p.PID()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	used := child.UsageOf(p.PID())
	if used.Known {
		row.Size("memory, at most", used.Peak, mostMemory)
	}
	log, err := realkafka.Read(ctx, r.cluster.Bootstrap(realkafka.Internal), topic)
	if err != nil {
		return err
	}
	during := l.since(from, time.Now())
	rep := audit.Compare(during, log)
	if r.short { // on a busy machine Kafka may be too slow, and nothing drains the outbox here
		row.Count("requests of the normal client that were not answered 2xx", rep.Not2xx(), 0)
	} else {
		row.Count("requests of the normal client that were not answered 200", rep.Requests-rep.Status[http.StatusOK], 0)
	}
	row.Count("lost", max(0, len(rep.Lost)-rep.Status[http.StatusAccepted]), 0)
	malformed := 0
	for i := range log {
		if !strings.HasPrefix(log[i].Header("ce_id"), "normal-") && !strings.HasPrefix(log[i].Header("ce_id"), largeName) {
			malformed++
		}
	}
	row.Count("records of malformed requests", malformed, 0)
	row.Note("The normal client sent %d requests: median %s, 99 %% in %s.", len(during),
		report.Span(audit.Percentile(during, 0.5)), report.Span(audit.Percentile(during, 0.99)))
	row.Note("The handler at the end: %s.", used)
	return nil
}

// rude is a misbehaving client.
type rude struct{ addr string }

func (u *rude) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp4", u.addr)
	if err != nil {
		return nil, fmt.Errorf("connect to the handler: %w", err)
	}
	return conn, nil
}

const requestLine = "POST /api/RegisterUser HTTP/1.1\r\nHost: handler\r\n"
