package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/handler/registration"
	"userrelay/local/realkafka"
	"userrelay/test/kafka/ledger"
	"userrelay/test/recorder"
	"userrelay/test/wait"
)

const (
	topic    = "user-events"
	patience = wait.Patience
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startBroker starts an in-process cluster that ends with the test. By default it has one broker and a topic of one
// partition.
func startBroker(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(1, topic)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func threeBrokers() []kfake.Opt {
	return []kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(8, topic)}
}

// newProducer returns a producer for these brokers that is closed before the test ends.
func newProducer(t *testing.T, brokers []string, edit ...func(*kafka.Config)) *kafka.Producer {
	t.Helper()
	config := kafka.Config{Brokers: brokers, Topic: topic, ClientID: "test"}
	for _, f := range edit {
		f(&config)
	}
	p := kafka.New(config)
	t.Cleanup(func() { closeNow(t, p) })
	return p
}

// closeNow closes a producer that should have no records in progress.
func closeNow(t *testing.T, p *kafka.Producer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// produce stores a record, and fails the test if that does not work.
func produce(t *testing.T, p *kafka.Producer, id string) delivery.RecordMetadata {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	md, err := p.Produce(ctx, ledger.Record(id))
	if err != nil {
		t.Fatalf("produce %s: %v (%v)", id, err, errors.Unwrap(err))
	}
	return md
}

// keyIn returns the n-th key that belongs to a partition, according to an independent hash function.
func keyIn(partition, partitions, n int) string {
	toPartition := kgo.StickyKeyPartitioner(nil).ForTopic(topic)
	for i := 0; ; i++ {
		key := fmt.Sprint("key-", i)
		if toPartition.Partition(&kgo.Record{Key: []byte(key)}, partitions) != partition {
			continue
		}
		if n--; n < 0 {
			return key
		}
	}
}

// keyed makes a record with a key, identified by id.
func keyed(id, key string) registration.Record {
	r := ledger.Record(id)
	r.Key = []byte(key)
	return r
}

// pending is a call of Produce in progress.
type pending struct {
	done chan struct{}
	md   delivery.RecordMetadata
	err  error
}

// begin calls Produce in a goroutine.
func begin(ctx context.Context, p *kafka.Producer, r registration.Record) *pending {
	c := &pending{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.md, c.err = p.Produce(ctx, r)
	}()
	return c
}

// wait returns the result of the call.
func (c *pending) wait(t *testing.T) (delivery.RecordMetadata, error) {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		t.Fatal("Produce does not return")
	}
	return c.md, c.err
}

// wantClass fails the test unless the error is a *delivery.Error of the class.
func wantClass(t *testing.T, err error, want delivery.Class) {
	t.Helper()
	if e, ok := errors.AsType[*delivery.Error](err); !ok || e.Class != want {
		t.Errorf("error = %v (%v), want one of class %q", err, errors.Unwrap(err), want)
	}
}

// readLog reads the whole topic with an independent client.
func readLog(t *testing.T, c *kfake.Cluster) []realkafka.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	records, err := realkafka.Read(ctx, c.ListenAddrs(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// compare compares the log with the answers to callers.
func compare(t *testing.T, l *ledger.Ledger, c *kfake.Cluster) ledger.Report {
	t.Helper()
	report, err := l.Compare(readLog(t, c))
	if err != nil {
		t.Error(err)
	}
	t.Log(report)
	return report
}

// faultOf answers count Produce requests with a code, or all if count is -1.
func faultOf(code int16, count int) kfake.Fault {
	err := &kerr.Error{Code: code}
	if e, ok := errors.AsType[*kerr.Error](kerr.ErrorForCode(code)); ok && e.Code == code {
		err = e // the one by which the broker knows what it does all the same
	}
	return kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: err, Count: count}
}

// answerOf is an answer to a Produce request: for partition 0 a code and an offset.
func answerOf(r kmsg.Request, code int16, offset int64) *kmsg.ProduceResponse {
	resp, ok := r.ResponseKind().(*kmsg.ProduceResponse)
	if !ok {
		panic("not a Produce request")
	}
	part := kmsg.NewProduceResponseTopicPartition()
	part.ErrorCode, part.BaseOffset = code, offset
	answer := kmsg.NewProduceResponseTopic()
	answer.Topic, answer.Partitions = topic, append(answer.Partitions, part)
	resp.Topics = append(resp.Topics, answer)
	return resp
}

// requests counts a broker's requests by their key.
type requests struct {
	mu sync.Mutex
	by map[int16]int
}

func countRequests(c *kfake.Cluster) *requests {
	r := &requests{by: map[int16]int{}}
	c.Control(func(q kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.by[q.Key()]++
		return nil, nil, false
	})
	return r
}

func (r *requests) of(key kmsg.Key) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by[key.Int16()]
}

func (r *requests) all() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, k := range r.by {
		n += k
	}
	return n
}

// lines collects a producer's log.
type lines struct{ recorder.Recorder }

func (l *lines) all() []string {
	text := l.String()
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSpace(text), "\n")
}

func (l *lines) with(text string) int {
	n := 0
	for _, line := range l.all() {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// logTo makes a producer log to l.
func logTo(l *lines) func(*kafka.Config) {
	return func(c *kafka.Config) { c.Log = slog.New(slog.NewTextHandler(l, nil)) }
}

// login makes a producer log in with PLAIN.
func login(user, password string) func(*kafka.Config) {
	return func(c *kafka.Config) { c.SASL = kafka.Plain(user, password) }
}
