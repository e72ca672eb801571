package portal_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/local/broker"
	"userrelay/local/portal"
	"userrelay/test/wait"
)

const topic = "user-events"

// kafka starts a broker and a portal that follows its topic.
func kafka(t *testing.T) (*broker.Broker, *rig) {
	t.Helper()
	b, err := broker.Start(t.Context(), topic, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b, start(t, portal.Config{Broker: b, Brokers: []string{b.Address()}, Topic: topic})
}

// produce stores records at the given seconds after noon, in partition 1, and returns the offset of the first.
func produce(t *testing.T, b *broker.Broker, records ...*kgo.Record) int64 {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := wait.Context(t)
	for _, r := range records {
		r.Partition = 1
	}
	results := client.ProduceSync(ctx, records...)
	if err := results.FirstErr(); err != nil {
		t.Fatal(err)
	}
	return records[0].Offset
}

func record(second int, key string) *kgo.Record {
	return &kgo.Record{Key: []byte(key), Value: []byte("value of " + key), Timestamp: noon().Add(time.Duration(second) * time.Second)}
}

func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

// topicState is the answer of /records.
type topicState struct {
	Readable bool             `json:"readable"`
	Reason   string           `json:"reason"`
	Records  []*portal.Record `json:"records"`
}

func keys(s topicState) []string {
	all := []string{}
	for _, r := range s.Records {
		all = append(all, *r.Key)
	}
	return all
}

func TestNewestRecords(t *testing.T) {
	t.Parallel()
	b, r := kafka(t)
	events := r.stream(t)
	wait.For(t, "an empty topic is readable", func() bool {
		s := get[topicState](t, r, "/records")
		return s.Readable && len(s.Records) == 0 && s.Reason == ""
	})
	before := int64(0)
	events.until(t, "the first event", func(c counts) bool { before = c.Records; return true })

	produce(t, b, record(2, "b"), record(1, "a"))
	events.until(t, "an event of the records", func(c counts) bool { return c.Records > before })
	wait.For(t, "both records, the newest first", func() bool {
		return cmp.Equal([]string{"b", "a"}, keys(get[topicState](t, r, "/records")))
	})

	var many []*kgo.Record
	var want []string
	for i := range 60 {
		many = append(many, record(10+i, strconv.Itoa(i)))
		if i >= 10 {
			want = append([]string{strconv.Itoa(i)}, want...)
		}
	}
	produce(t, b, many...)
	wait.For(t, "the newest 50", func() bool { return cmp.Equal(want, keys(get[topicState](t, r, "/records"))) })

	late := start(t, portal.Config{Brokers: []string{b.Address()}, Topic: topic}) // finds what was there before it
	wait.For(t, "the same for who comes late", func() bool {
		return cmp.Equal(want, keys(get[topicState](t, late, "/records")))
	})
}

func TestOneRecord(t *testing.T) {
	t.Parallel()
	b, r := kafka(t)
	offset := produce(t, b,
		&kgo.Record{
			Key: []byte("auth0|1"), Value: []byte(`{"userId":"auth0|1"}`), Timestamp: noon(),
			Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte("e1")}, {Key: "empty"}},
		},
		&kgo.Record{Key: nil, Value: []byte("not \xff UTF-8"), Timestamp: noon()},
		&kgo.Record{Key: []byte("large"), Value: make([]byte, 100_000), Timestamp: noon()},
	)
	at := func(offset int64) string { return fmt.Sprintf("/record?partition=1&offset=%d", offset) }
	s := func(s string) *string { return &s }
	want := portal.Record{
		Place: portal.Place{Topic: topic, Partition: 1, Offset: offset}, Time: "2026-11-24T12:00:00.000Z",
		Key: s("auth0|1"), Value: s(`{"userId":"auth0|1"}`), Headers: []portal.Header{{Key: "ce_id", Value: s("e1")}, {Key: "empty"}},
	}
	if d := cmp.Diff(want, get[portal.Record](t, r, at(offset)), cmpopts.IgnoreUnexported(portal.Record{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got := get[portal.Record](t, r, at(offset+1)); got.Key != nil || *got.Value != "not \uFFFD UTF-8" {
		t.Errorf("key %v, value %q", got.Key, *got.Value)
	}
	if got := *get[portal.Record](t, r, at(offset+2)).Value; len(got) > 17_000 || got[16<<10:] != "… (100000 bytes)" {
		t.Errorf("%d bytes, want them to be cut", len(got))
	}

	for path, status := range map[string]int{
		at(offset + 3):                  http.StatusNotFound,
		"/record?partition=9&offset=0":  http.StatusNotFound,
		"/record?partition=-1&offset=0": http.StatusBadRequest,
		"/record?partition=1":           http.StatusBadRequest,
		"/record?offset=1":              http.StatusBadRequest,
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel() // it takes a while to detect an empty topic
			if res := r.send(t, http.MethodGet, path, ""); res.StatusCode != status {
				t.Errorf("status %d, want %d: %s", res.StatusCode, status, res.body)
			}
		})
	}
	none := start(t, portal.Config{})
	if res := none.send(t, http.MethodGet, at(0), ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("without Kafka: status %d, want 404", res.StatusCode)
	}
	if s := get[topicState](t, none, "/records"); s.Readable || s.Reason == "" || s.Records == nil {
		t.Errorf("without Kafka: %+v", s)
	}
}

func TestRecordsWhileTheBrokerIsStopped(t *testing.T) {
	t.Parallel()
	b, r := kafka(t)
	offset := produce(t, b, record(1, "before"))
	wait.For(t, "the record", func() bool { return len(get[topicState](t, r, "/records").Records) == 1 })

	if res := r.send(t, http.MethodPut, "/broker", `{"running":false}`); res.body != `{"running":false}` || b.Running() {
		t.Fatalf("stop: %s; running %v", res.body, b.Running())
	}
	wait.For(t, "the outage is told, and what was read before stays", func() bool {
		s := get[topicState](t, r, "/records")
		return !s.Readable && s.Reason == "Kafka cannot be reached" && len(s.Records) == 1
	})
	path := fmt.Sprintf("/record?partition=1&offset=%d", offset)
	if res := r.send(t, http.MethodGet, path, ""); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503: %s", res.StatusCode, res.body)
	}

	if res := r.send(t, http.MethodPut, "/broker", `{"running":true}`); res.body != `{"running":true}` || !b.Running() {
		t.Fatalf("start: %s; running %v", res.body, b.Running())
	}
	produce(t, b, record(2, "after"))
	wait.For(t, "records from before and after", func() bool {
		s := get[topicState](t, r, "/records")
		return s.Readable && cmp.Equal([]string{"after", "before"}, keys(s))
	})
	if res := r.send(t, http.MethodGet, path, ""); res.StatusCode != http.StatusOK {
		t.Errorf("status %d, want 200: %s", res.StatusCode, res.body)
	}
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	r := start(t, portal.Config{Broker: &stuck{}})
	for _, body := range []string{"", "{", `{"running":1}`, `[]`} {
		if res := r.send(t, http.MethodPut, "/broker", body); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: status %d, want 400", body, res.StatusCode)
		}
	}
	if res := r.send(t, http.MethodPut, "/broker", `{"running":true}`); res.StatusCode != http.StatusInternalServerError {
		t.Errorf("a broker that does not start: status %d, want 500", res.StatusCode)
	}
	if got := r.send(t, http.MethodGet, "/broker", ""); got.body != `{"running":false}` {
		t.Errorf("state: %s", got.body)
	}

	others := start(t, portal.Config{})
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		if res := others.send(t, method, "/broker", `{"running":false}`); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s of somebody else's: status %d, want 404", method, res.StatusCode)
		}
	}
}

// stuck is a broker that does not start.
type stuck struct{}

func (*stuck) Running() bool { return false }
func (*stuck) Resume() error { return errors.New("the port is taken") }
func (*stuck) Pause()        {}
