package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"userrelay/test/child"
	"userrelay/test/drill/report"
)

// trickle sends headers, and bodies, a byte a second.
func (u *rude) trickle(ctx context.Context, r *rig, row *report.Row, pid int) error {
	kinds := []struct {
		what, begin string
		within      time.Duration
	}{
		{"headers", "POST /api/RegisterUser HTTP/1.1\r\nX-Slow: ", headerWithin},
		{"bodies", requestLine + "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n", requestWithin},
	}
	if r.short {
		kinds = kinds[:1] // the others take 10 s
	}
	r.say("  %d connections that send a byte a second", r.plan.slow)
	took := make([]time.Duration, r.plan.slow)
	var all errgroup.Group
	for i := range r.plan.slow {
		all.Go(func() (err error) {
			took[i], err = u.drip(ctx, kinds[i%len(kinds)].begin)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	open := 0
	for k, kind := range kinds {
		slowest := time.Duration(0)
		for i := k; i < len(took); i += len(kinds) {
			slowest = max(slowest, took[i])
			if took[i] >= 2*requestWithin {
				open++
			}
		}
		row.Time("a byte a second, "+kind.what+": the last one is closed after", slowest, kind.within)
	}
	row.Count(fmt.Sprintf("connections, of %d, that send a byte a second and are not closed", len(took)), open, 0)
	row.Note("With %d connections that sent a byte a second the handler had %s.", r.plan.slow, child.UsageOf(pid))
	return nil
}

// drip sends begin, and then a byte a second until the server closes the connection. It returns how long that took, or
// twice the limit of a request if the server does not close it.
func (u *rude) drip(ctx context.Context, begin string) (time.Duration, error) {
	conn, err := u.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	start := time.Now()
	if _, err := io.WriteString(conn, begin); err != nil {
		return 0, fmt.Errorf("begin a slow request: %w", err)
	}
	var b [512]byte
	for time.Since(start) < 2*requestWithin {
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return 0, err
		}
		_, err := conn.Read(b[:])
		var late net.Error
		switch {
		case err == nil: // an answer; the end follows
			continue
		case !errors.As(err, &late) || !late.Timeout():
			return time.Since(start), ctx.Err()
		}
		if _, err := conn.Write([]byte("x")); err != nil {
			return time.Since(start), ctx.Err()
		}
	}
	return 2 * requestWithin, nil
}

// idle opens many connections, and leaves them open.
func (u *rude) idle(ctx context.Context, r *rig, row *report.Row, pid int) error {
	most, err := descriptors()
	if err != nil {
		return err
	}
	n := min(r.plan.idle, most-spareFiles)
	if n < 1 {
		return fmt.Errorf("%d open files are allowed: too few for idle connections", most)
	}
	if n < r.plan.idle {
		row.Note("%d idle connections instead of %d: a process may have %d files open here.", n, r.plan.idle, most)
	}
	r.say("  %d idle connections", n)
	conns := make([]net.Conn, n)
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	all, dialing := errgroup.WithContext(ctx)
	all.SetLimit(100)
	for i := range conns {
		all.Go(func() (err error) {
			if conns[i], err = u.dial(dialing); err != nil {
				return err
			}
			status, err := ask(conns[i], "GET / HTTP/1.1\r\nHost: handler\r\n\r\n")
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("answer %d on a connection that is to be idle", status)
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	if err := pause(ctx, r.plan.before); err != nil {
		return err
	}
	used := child.UsageOf(pid)
	row.Note("With %d idle connections the handler had %s.", n, used)
	if used.Known {
		row.Size("memory with idle connections", used.MiB, mostIdle)
		row.AtLeast("idle connections open at once", used.Files, n)
	}
	return nil
}

// ask sends a request over a connection and returns the status of the answer.
func ask(conn net.Conn, request string) (int, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, fmt.Errorf("send a request: %w", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, fmt.Errorf("read an answer: %w", err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

const (
	bodyLimit = 16 << 20 // bytes, that the handler takes
	largeName = "large-"
)

// large sends bodies up to the limit and above it.
func (u *rude) large(ctx context.Context, r *rig, row *report.Row, pid int) error {
	r.say("  large bodies")
	client := newClient()
	defer client.CloseIdleConnections()
	body := func(i, size int) string {
		begin := fmt.Sprintf(`{"userId":"auth0|large","eventId":"%s%d","user":{"x":"`, largeName, i)
		const end = `"}}`
		return begin + strings.Repeat("x", size-len(begin)-len(end)) + end
	}
	cases := []struct {
		what    string
		size    int
		chunked bool
		want    int
	}{
		{"of the largest size", bodyLimit, false, http.StatusOK},
		{"one byte larger", bodyLimit + 1, false, http.StatusRequestEntityTooLarge},
		{"of the largest size, chunked", bodyLimit, true, http.StatusOK},
		{"larger, chunked", bodyLimit + bodyLimit/4, true, http.StatusRequestEntityTooLarge},
	}
	wrong := make([]string, 2*len(cases))
	var all errgroup.Group
	for i := range wrong {
		c := cases[i%len(cases)]
		all.Go(func() error {
			var reader io.Reader = strings.NewReader(body(i, c.size))
			if c.chunked {
				reader = io.MultiReader(reader) // whose length net/http does not know
			}
			// A server that refuses a body closes the connection before it has read all of it: a client that is still
			// sending may see the closed connection instead of the answer.
			a, err := post(ctx, client, "http://"+u.addr+"/api/RegisterUser", "", reader)
			switch {
			case err == nil && a.status != c.want:
				wrong[i] = fmt.Sprintf("A body %s was answered %d, not %d.", c.what, a.status, c.want)
			case err != nil && c.want == http.StatusOK:
				wrong[i] = fmt.Sprintf("A body %s was not answered.", c.what)
			}
			return ctx.Err()
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	n := 0
	for _, w := range wrong {
		if w != "" {
			n++
			row.Note("%s", w)
		}
	}
	row.Count(fmt.Sprintf("wrong answers to %d large bodies", len(wrong)), n, 0)
	conn, err := u.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	status, err := ask(conn, requestLine+"Content-Type: application/json\r\nContent-Length: 104857600\r\n\r\n")
	if err != nil {
		return err
	}
	row.Exactly("answer to 100 MiB that are announced and not sent", status, http.StatusRequestEntityTooLarge)
	row.Note("After the large bodies the handler had %s.", child.UsageOf(pid))
	return nil
}

// malformed sends invalid requests and registrations. None of them may be answered 2xx.
func (u *rude) malformed(ctx context.Context, r *rig, row *report.Row, _ int) error {
	const typed = requestLine + "Content-Type: application/json\r\n"
	withBody := func(body string) string { return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", typed, len(body), body) }
	requests := []string{
		"\x00\x01\x02\x03\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", // TLS
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"POST /api/RegisterUser\r\n\r\n",
		"POST /api/RegisterUser HTTP/9.9\r\nHost: h\r\n\r\n",
		"POST /api/RegisterUser HTTP/1.1\r\n\r\n", // no Host
		typed + "Content-Length: -1\r\n\r\n",
		typed + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		typed + "Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
		typed + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF1\r\n{}",
		typed + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		withBody(""), withBody("{"), withBody("null"), withBody("[]"), withBody(`"x"`), withBody("\xff\xfe"),
		withBody(`{"userId":"auth0|a","userId":"auth0|b"}`), withBody(`{"userId":7}`), withBody(`{"userId":" "}`),
		withBody(`{"userId":"auth0|a"}{}`), withBody("\xef\xbb\xbf\xef\xbb\xbf" + `{"userId":"auth0|a"}`), withBody(strings.Repeat(`{"user":`, 10_000)),
		withBody(`{"userId":"auth0|` + strings.Repeat("a", 1<<20) + `"}`),
	}
	r.say("  %d malformed requests", len(requests))
	taken := 0
	for _, request := range requests {
		conn, err := u.dial(ctx)
		if err != nil {
			return err
		}
		status, err := ask(conn, request)
		_ = conn.Close()
		switch {
		case err == nil && status < http.StatusMultipleChoices:
			taken++
			row.Note("Answered %d: %.60q", status, request)
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
	row.Count(fmt.Sprintf("malformed requests, of %d, that were answered 2xx", len(requests)), taken, 0)
	return nil
}
