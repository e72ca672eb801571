package kafka_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"userrelay/handler/delivery"
	"userrelay/test/kafka/ledger"
)

// eventHubsVersions are the request versions of Azure Event Hubs.
func eventHubsVersions(initProducerID bool) *kversion.Versions {
	var v kversion.Versions
	for key, version := range map[kmsg.Key]int16{
		kmsg.Produce: 7, kmsg.Fetch: 6, kmsg.ListOffsets: 5, kmsg.Metadata: 5, kmsg.ApiVersions: 3,
		kmsg.SASLHandshake: 1, kmsg.SASLAuthenticate: 1,
	} {
		v.SetMaxKeyVersion(key.Int16(), version)
	}
	if initProducerID {
		v.SetMaxKeyVersion(kmsg.InitProducerID.Int16(), 0)
	}
	return &v
}

// asked records a broker's requests, of those kinds whose form matters to Event Hubs.
type asked struct {
	mu       sync.Mutex
	metadata [][]string // topics of each request; nil where it is for all
	versions map[kmsg.Key]int16
	largest  int // Produce request, in bytes
}

func watch(c *kfake.Cluster) *asked {
	a := &asked{versions: map[kmsg.Key]int16{}}
	c.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.versions[kmsg.Key(r.Key())] = r.GetVersion()
		switch r := r.(type) {
		case *kmsg.MetadataRequest:
			var topics []string
			for _, t := range r.Topics {
				topics = append(topics, *t.Topic)
			}
			a.metadata = append(a.metadata, topics)
		case *kmsg.ProduceRequest:
			a.largest = max(a.largest, len(r.AppendTo(nil)))
		}
		return nil, nil, false
	})
	return a
}

func TestEventHubs(t *testing.T) {
	t.Parallel()
	c := startBroker(t, kfake.MaxVersions(eventHubsVersions(true)), kfake.SeedTopics(4, topic),
		kfake.EnableSASL(), kfake.Superuser("PLAIN", "$ConnectionString", "Endpoint=sb://test"))
	a := watch(c)
	p := newProducer(t, c.ListenAddrs(), login("$ConnectionString", "Endpoint=sb://test"))
	var l ledger.Ledger
	l.Run(t.Context(), p, ledger.Load{Callers: 32, Each: 10, Timeout: patience})
	if r, err := l.Compare(nil); r.Acknowledged != 320 {
		t.Errorf("%v, %v", r, err)
	}
	fault := c.Fault(faultOf(44, 1)) // POLICY_VIOLATION: overloaded
	_, err := p.Produce(t.Context(), ledger.Record("x"))
	wantClass(t, err, delivery.Throttled)
	if fault.Hits() != 1 {
		t.Errorf("asked %d times", fault.Hits())
	}
	storeAfter(t, p, new(ledger.Ledger))

	a.mu.Lock()
	defer a.mu.Unlock()
	for _, topics := range a.metadata {
		if !slices.Equal(topics, []string{topic}) {
			t.Errorf("metadata were asked of %q", topics)
		}
	}
	for key, want := range map[kmsg.Key]int16{kmsg.Produce: 7, kmsg.Metadata: 5, kmsg.InitProducerID: 0} {
		if got, ok := a.versions[key]; !ok || got != want {
			t.Errorf("%s: version %d, want %d", key.Name(), got, want)
		}
	}
}

// TestEventHubsRequestSize has more waiting records than fit a request.
func TestEventHubsRequestSize(t *testing.T) {
	t.Parallel()
	c := startBroker(t, kfake.MaxVersions(eventHubsVersions(true)), kfake.SeedTopics(4, topic))
	a := watch(c)
	p := newProducer(t, c.ListenAddrs())
	produce(t, p, "before")
	arrived, answer := holdAnswers(t, c)
	calls := []*pending{begin(t.Context(), p, ledger.Record("first"))}
	<-arrived
	for range 25 {
		r := ledger.Record("x")
		r.Value = make([]byte, 1_000_000-r.Size())
		calls = append(calls, begin(t.Context(), p, r))
	}
	for range 100 {
		r := ledger.Record("x")
		r.Value = make([]byte, 50_000)
		calls = append(calls, begin(t.Context(), p, r))
	}
	answer(nil)
	for _, call := range calls {
		if _, err := call.wait(t); err != nil {
			t.Error(err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.largest >= 1_046_528 || a.largest < 900_000 {
		t.Errorf("the largest request has %d bytes", a.largest)
	}
}

// TestNoIdempotence has a broker without producer ids: the producer logs that once, stores records, and repeats no
// batch with an unknown outcome.
func TestNoIdempotence(t *testing.T) {
	t.Parallel()
	c := startBroker(t, kfake.MaxVersions(eventHubsVersions(false)), kfake.NumBrokers(3), kfake.SeedTopics(4, topic))
	var log lines
	p := newProducer(t, c.ListenAddrs(), logTo(&log))
	for range 10 { // it is asked for as long as it does not know
		if err := p.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	var l ledger.Ledger
	l.Run(t.Context(), p, ledger.Load{Callers: 8, Each: 10, Timeout: patience})

	certain := c.Fault(faultOf(19, 3)) // NOT_ENOUGH_REPLICAS: certainly not stored, so that it may be sent again
	l.Note("again", produce(t, p, "again"), nil)
	if certain.Hits() != 3 {
		t.Errorf("%d refusals, want 3", certain.Hits())
	}
	for name, code := range map[string]int16{"timed out": 7, "after append": 20, "no leader any more": 6} {
		before := countRequests(c)
		c.Fault(faultOf(code, 1))
		md, err := p.Produce(t.Context(), ledger.Record(name))
		wantClass(t, err, delivery.UnknownOutcome)
		l.Note(name, md, err)
		if n := before.of(kmsg.Produce); n != 1 {
			t.Errorf("%s: %d requests, want 1", name, n)
		}
	}
	storeAfter(t, p, &l)
	if r := compare(t, &l, c); r.UnknownStored != 2 { // this broker stores nothing when it does not lead
		t.Errorf("%d of 2 unknown records are stored", r.UnknownStored)
	}
	if n := log.with("does not support idempotent producers"); n != 1 || len(log.all()) != 1 {
		t.Errorf("logged %d times: %s", n, log.all())
	}
}
