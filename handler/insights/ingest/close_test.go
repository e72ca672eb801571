package ingest_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"userrelay/handler/insights/ingest"
	"userrelay/local/freeport"
	"userrelay/test/wait"
)

// TestCloseInTime closes senders in every state that an endpoint can cause.
func TestCloseInTime(t *testing.T) {
	for _, c := range []struct {
		name      string
		byDefault step
		wait      time.Duration // until Close
		want      time.Duration // that it takes
		accepted  int64         // of two
	}{
		{"nothing sent yet", step{}, 0, 0, 2},
		{"all is sent", step{}, 3 * time.Second, 0, 2},
		{"the endpoint hangs", step{hang: true}, 1500 * time.Millisecond, 900 * time.Millisecond, 0},
		{"the endpoint is hung up on by Close", step{hang: true}, 0, 900 * time.Millisecond, 0},
		{"in the back-off", step{status: 503}, time.Minute, 0, 0},
		{"no connection", step{status: broken}, 10 * time.Minute, 0, 0},
		{"throttled for minutes", step{status: 429, retryAfter: "300"}, 30 * time.Second, 0, 0},
		{"throttled until a date", step{status: 429, retryAfter: "Fri, 31 Dec 9999 23:59:59 GMT"}, 30 * time.Second, 0, 0},
		{"the cap is reached", step{status: 402, retryAfter: "300"}, 30 * time.Second, 0, 0},
		{"without a token", step{status: 401}, 30 * time.Second, 0, 0},
		{"every batch too large", step{status: 413}, 30 * time.Second, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{byDefault: c.byDefault}
				s := newSender(t, ingest.Config{Transport: e})
				trackTrace(s, "m0")
				trackTrace(s, "m1")
				<-time.After(c.wait)
				start := time.Now()
				s.Close(time.Second)
				if took := time.Since(start); took != c.want {
					t.Errorf("Close took %v, want %v", took, c.want)
				}
				trackTrace(s, "late")
				st := s.Stats()
				addUp(t, st)
				lost := st.Rejected + st.Dropped
				if st.Accepted < c.accepted || st.Pending != 0 || st.Accepted+lost != st.Tracked || st.Dropped == 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// TestCloseTriesOnceMore has an endpoint that recovers just in time.
func TestCloseTriesOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{byDefault: step{status: 503}}
		s := newSender(t, ingest.Config{Transport: e})
		for i := range 5 {
			trackTrace(s, fmt.Sprint("m", i))
			<-time.After(20 * time.Second)
		}
		e.then(step{})
		start := time.Now()
		s.Close(time.Second)
		if took := time.Since(start); took != 0 {
			t.Errorf("Close took %v", took)
		}
		if st := s.Stats(); st.Accepted != st.Tracked || st.Tracked < 5 {
			t.Errorf("%+v", st)
		}
	})
}

// TestCloseWithoutTime checks that Close ends without any time left.
func TestCloseWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSender(t, ingest.Config{Transport: &endpoint{byDefault: step{hang: true}}})
		trackTrace(s, "m")
		s.Close(0)
		synctest.Wait()
		st := s.Stats()
		addUp(t, st)
		if st.Dropped != 1 || st.Pending != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestDeadEndpoint uses a real network: at first nothing listens, later the endpoint does.
func TestDeadEndpoint(t *testing.T) {
	port, err := freeport.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	console := &console{}
	s := newSender(t, ingest.Config{Connection: connection(t, "http://"+address), Log: console.log()})
	for i := range 50 {
		trackTrace(s, fmt.Sprint("m", i))
	}
	wait.For(t, "a failure", func() bool { return console.String() != "" })
	addUp(t, s.Stats())

	l, err := net.Listen("tcp4", address) //nolint:noctx // the same port
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{}
	server := httptest.NewUnstartedServer(e)
	_ = server.Listener.Close()
	server.Listener = l
	server.Start()
	defer server.Close()
	wait.For(t, "all arrives", func() bool { return s.Stats().Accepted == 50 })
	if got := e.messages(t); len(got) != 50 || got[0] != "m0" || got[49] != "m49" {
		t.Errorf("%q", got)
	}
	s.Close(limit)
	if text := console.String(); !strings.Contains(text, "no connection") || !strings.Contains(text, "again") || strings.Contains(text, address) {
		t.Errorf("the console: %s", text)
	}
}

// TestCloseSendsAllThatWaits has more items than fit the backlog, and an endpoint that recovers just in time.
func TestCloseSendsAllThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &forgetful{}
		e.down.Store(&step{status: 503})
		s := newSender(t, ingest.Config{Transport: e})
		fill(s)
		e.down.Store(nil)
		s.Close(limit)
		if st := s.Stats(); st.Accepted != st.Tracked-st.Dropped || st.Accepted != e.items.Load() || st.Accepted < 4000 {
			t.Errorf("%d arrived: %+v", e.items.Load(), st)
		}
	})
}

// TestCloseWithoutHope has more items than fit the backlog, and an endpoint that does not recover.
func TestCloseWithoutHope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSender(t, ingest.Config{Transport: &endpoint{byDefault: step{status: broken}}})
		fill(s)
		start := time.Now()
		s.Close(time.Second)
		if took := time.Since(start); took != 0 {
			t.Errorf("Close took %v", took)
		}
		if st := s.Stats(); st.Dropped != st.Tracked || st.Reason != "closed" || st.Pending != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// fill tracks items until the sender accepts no more. It must be called in a bubble.
func fill(s *ingest.Sender) {
	for i := 0; s.Stats().Dropped == 0; i++ {
		noise := make([]byte, 1000)
		_, _ = rand.Read(noise) // never fails
		trackTrace(s, hex.EncodeToString(noise))
		if i%100 == 0 {
			synctest.Wait() // for the packer
		}
	}
}

// heedless is a transport that ignores its context.
type heedless struct{ until chan struct{} }

func (h heedless) RoundTrip(*http.Request) (*http.Response, error) {
	<-h.until
	return nil, errors.New("at last")
}

func TestCloseDoesNotWaitForWhatDoesNotHeedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := heedless{make(chan struct{})}
		s := newSender(t, ingest.Config{Transport: transport})
		trackTrace(s, "m")
		<-time.After(2 * time.Second)
		start := time.Now()
		s.Close(time.Second)
		if took := time.Since(start); took != time.Second {
			t.Errorf("Close took %v", took)
		}
		addUp(t, s.Stats())
		close(transport.until)
		s.Close(time.Second)
		if st := s.Stats(); st.Dropped != 1 || st.Pending != 0 {
			t.Errorf("%+v", st)
		}
	})
}
