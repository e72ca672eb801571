package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
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
	stored   = delivery.Class("") // in a table: no error
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newProducer returns a producer for these brokers that is closed before the test ends.
func newProducer(t *testing.T, brokers []string, edit ...func(*kafka.Config)) *kafka.Producer {
	t.Helper()
	config := kafka.Config{Brokers: brokers, Topic: topic, ClientID: "test"}
	for _, f := range edit {
		f(&config)
	}
	p := kafka.New(config)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return p
}

// producer makes a producer on the network.
func (v *virtual) producer(c *kfake.Cluster, edit ...func(*kafka.Config)) *kafka.Producer {
	v.Helper()
	return v.producerOf(c.ListenAddrs(), edit...)
}

func (v *virtual) producerOf(brokers []string, edit ...func(*kafka.Config)) *kafka.Producer {
	v.Helper()
	return newProducer(v.T, brokers, append([]func(*kafka.Config){func(c *kafka.Config) { c.Dial = v.dial }}, edit...)...)
}

// within returns a context that ends after a time, or with the test.
func (v *virtual) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(v.Context(), d)
	v.Cleanup(cancel)
	return ctx
}

// try produces a record, and notes the result for compare.
func (v *virtual) try(ctx context.Context, p *kafka.Producer, r registration.Record) (delivery.RecordMetadata, error) {
	md, err := p.Produce(ctx, r)
	v.ledger.Note(r, md, err)
	return md, err
}

// store stores a record, however long that takes, and returns how long it took.
func (v *virtual) store(p *kafka.Producer, r registration.Record) (delivery.RecordMetadata, time.Duration) {
	v.Helper()
	start := time.Now()
	md, err := v.try(v.within(patience), p, r)
	if err != nil {
		v.Errorf("record for %s after %v: %v (%v)", r.Key, time.Since(start), err, errors.Unwrap(err))
	}
	return md, time.Since(start)
}

// storeAfter stores a record after a fault has ended. If the last answer was a lasting refusal, callers get it for a
// short time after.
func (v *virtual) storeAfter(p *kafka.Producer) {
	v.Helper()
	v.after++
	for range 100 {
		if _, err := v.try(v.within(patience), p, record(fmt.Sprint("after-", v.after))); err == nil {
			return
		}
		pass(20 * time.Millisecond)
	}
	v.Error("no record is stored any more")
}

// compare compares the log of a topic with the results of all calls.
func (v *virtual) compare(c *kfake.Cluster) ledger.Report {
	v.Helper()
	log, err := realkafka.Read(v.Context(), c.ListenAddrs(), topic, kgo.Dialer(v.network.DialContext))
	if err != nil {
		v.Fatal(err)
	}
	report, err := v.ledger.Compare(log)
	if err != nil {
		v.Error(err)
	}
	return report
}

// begin calls Produce in a goroutine. The channel gets the error.
func (v *virtual) begin(ctx context.Context, p *kafka.Producer, r registration.Record) <-chan error {
	call := make(chan error, 1)
	go func() {
		_, err := v.try(ctx, p, r)
		call <- err
	}()
	return call
}

// beginMany calls Produce for n records.
func (v *virtual) beginMany(ctx context.Context, p *kafka.Producer, n int) []<-chan error {
	calls := make([]<-chan error, n)
	for i := range calls {
		calls[i] = v.begin(ctx, p, record(fmt.Sprint("many-", i)))
	}
	return calls
}

// wantEach fails the test unless each call ends with one of the classes.
func (v *virtual) wantEach(calls []<-chan error, classes ...delivery.Class) {
	v.Helper()
	for _, call := range calls {
		if err := <-call; !slices.Contains(classes, delivery.ClassOf(err)) {
			v.Errorf("error = %v, want one of a class of %q", err, classes)
		}
	}
}

func record(id string) registration.Record { return ledger.Record(id) }

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
	r := record(id)
	r.Key = []byte(key)
	return r
}

// wantClass fails the test unless the error is of the class.
func wantClass(tb testing.TB, err error, want delivery.Class) {
	tb.Helper()
	if delivery.ClassOf(err) != want {
		tb.Errorf("error = %v (%v), want one of class %q", err, errors.Unwrap(err), want)
	}
}

// wantEmpty fails the test if a producer has records.
func wantEmpty(tb testing.TB, p *kafka.Producer) {
	tb.Helper()
	if records, size := p.Held(); records != 0 || size != 0 {
		tb.Errorf("%d records of %d bytes are still on the books", records, size)
	}
}

// logTo makes a producer log to a recorder.
func logTo(log *recorder.Recorder) func(*kafka.Config) {
	return func(c *kafka.Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) }
}

// told returns how often a log has a text.
func told(log *recorder.Recorder, text string) int { return strings.Count(log.String(), text) }

// login makes a producer log in with PLAIN.
func login(user, password string) func(*kafka.Config) {
	return func(c *kafka.Config) { c.SASL = kafka.Plain(user, password) }
}
