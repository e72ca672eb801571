package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/test/wait"
)

// TestOddInputs sends 10,000 odd inputs: the handler answers each with 200 or an error, or closes the connection, and
// keeps running. The topic has exactly the records of the answers 200.
//
// The inputs are the same in every run: the generator of input n has the seed n.
func TestOddInputs(t *testing.T) {
	t.Parallel()
	const inputs, workers = 10_000, 8
	kafka := startBroker(t)
	h := startHandler(t, kafka.setting())
	o := &oddRun{h: h, seeds: seeds(t), places: map[stored]string{}, statuses: map[int]int{}}
	numbers := make(chan int)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for n := range numbers {
				o.send(t, n)
			}
		})
	}
	for name, in := range slowSenders() {
		all.Go(func() { o.sendSlowly(t, name, in) })
	}
	for n := range inputs {
		numbers <- n
	}
	close(numbers)
	all.Wait()

	if !h.running() {
		t.Fatal("the handler has ended")
	}
	last := h.register(t, `{"userId":"last"}`).stored(t)
	records := kafka.records(t)
	at(t, records, last)
	if len(records) != len(o.places)+1 {
		t.Errorf("got %d records of %d answers 200 with a place", len(records), len(o.places)+1)
	}
	for _, r := range records {
		place := stored{Topic: topic, Partition: r.Partition, Offset: r.Offset}
		if id, ok := o.places[place]; ok && id != r.header("ce_id") {
			t.Errorf("got event id %q in the answer and %q in the record", id, r.header("ce_id"))
		}
	}
	t.Logf("answers: %v (0: connection closed), records: %d", o.statuses, len(records))
	for _, status := range []int{0, 200, 400, 404, 405, 413, 415, 431} {
		if o.statuses[status] == 0 {
			t.Errorf("no input was answered with %d: they are not odd enough", status)
		}
	}
}

// oddRun has the answers.
type oddRun struct {
	h     *handlerRun
	seeds [][]byte

	mu       sync.Mutex
	places   map[stored]string // place of each answer 200 to its event id
	statuses map[int]int
}

// input is the data for one connection.
type input struct {
	kind  string
	bytes []byte
	end   ending
}

// ending is a sender's behaviour after it has sent everything.
type ending int

const (
	listen ending = iota // reads answers until the handler closes the connection
	half                 // closes its half of the connection, and then listens
	leave                // closes the connection
)

func (o *oddRun) send(t *testing.T, number int) {
	t.Helper()
	in := makeInput(rand.New(rand.NewPCG(2026, uint64(number))), number, o.seeds)
	answers, err := o.exchange(t.Context(), in)
	if err != nil {
		t.Errorf("input %d (%s): %v; it begins with %q", number, in.kind, err, in.bytes[:min(len(in.bytes), 300)])
	}
	o.note(t, fmt.Sprintf("input %d (%s)", number, in.kind), answers)
}

// note checks and counts the answers on one connection.
func (o *oddRun) note(t *testing.T, name string, answers []reply) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(answers) == 0 {
		o.statuses[0]++
	}
	for _, r := range answers {
		o.statuses[r.status]++
		switch {
		case r.status == http.StatusOK && strings.Contains(r.body, `"topic"`):
			var s stored
			if err := json.Unmarshal([]byte(r.body), &s, json.RejectUnknownMembers(true)); err != nil {
				t.Errorf("%s: read %q: %v", name, r.body, err)
			}
			place := stored{Topic: s.Topic, Partition: s.Partition, Offset: s.Offset}
			if _, twice := o.places[place]; twice && r.header.Get("Idempotency-Replayed") == "" {
				t.Errorf("%s: the place of %+v was answered before", name, s)
			}
			o.places[place] = s.EventID
		case r.status == http.StatusOK, 400 <= r.status && r.status < 500:
		case r.status == http.StatusNotImplemented, r.status == http.StatusHTTPVersionNotSupported: // net/http itself
		default:
			t.Errorf("%s: got %d %q", name, r.status, r.body)
		}
	}
}

// exchange sends an input on a new connection and reads the answers until the handler closes it.
func (o *oddRun) exchange(ctx context.Context, in input) ([]reply, error) {
	conn, err := o.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { // concurrently with reading, because the answer may arrive before everything is sent
		_, _ = conn.Write(in.bytes) // the handler may close the connection
		switch in.end {
		case half:
			_ = conn.CloseWrite()
		case leave:
			_ = conn.Close()
		case listen:
		}
	})
	return readAnswers(conn)
}

func (o *oddRun) dial(ctx context.Context) (*net.TCPConn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp4", loopback(o.h.port))
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("got a %T", conn)
	}
	return tcp, tcp.SetDeadline(time.Now().Add(wait.Patience))
}

// readAnswers reads answers until the connection ends. It may end in any way; only a connection that stays open is an
// error.
func readAnswers(conn net.Conn) (answers []reply, err error) {
	r := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(r, nil)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return answers, errors.New("the handler neither answers nor closes the connection")
		case err != nil:
			return answers, nil //nolint:nilerr // it is closed
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err == nil && res.StatusCode >= http.StatusOK {
			answers = append(answers, reply{status: res.StatusCode, header: res.Header, body: string(body)})
		}
	}
}

// slowSenders send a part of a request, and then single bytes until the server closes the connection.
func slowSenders() map[string]input {
	const head = "POST /api/RegisterUser HTTP/1.1\r\nHost: x\r\n"
	return map[string]input{
		"slow header":       {bytes: []byte(head + "X-Slow: ")},
		"slow request line": {bytes: []byte("POST /api/")},
		"slow body":         {bytes: []byte(head + "Content-Length: 1000\r\n\r\n{")},
		"slow chunks":       {bytes: []byte(head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")},
		"silent":            {},
	}
}

func (o *oddRun) sendSlowly(t *testing.T, name string, in input) {
	t.Helper()
	conn, err := o.dial(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for left := in.bytes; ; left = []byte("a") {
			if _, err := conn.Write(left); err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	answers, err := readAnswers(conn)
	cancel()
	writing.Wait()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	o.note(t, name, answers)
}
