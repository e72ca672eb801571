package realkafka_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"userrelay/local/realkafka"
	"userrelay/test/wait"
)

func TestMain(m *testing.M) {
	helper() // does not return in the process that TestNothingStaysBehind kills
	goleak.VerifyTestMain(m)
}

// login returns kafka-go's options for a listener.
type login struct {
	tls  *tls.Config
	sasl sasl.Mechanism
}

// produce writes a record with a new client: it dials, logs in, looks up the leader and produces.
func produce(ctx context.Context, brokers []string, topic string, l login) error {
	tr := &kafka.Transport{TLS: l.tls, SASL: l.sasl, MetadataTopics: []string{topic}}
	defer tr.CloseIdleConnections()
	return produceWith(ctx, tr, brokers, topic)
}

func produceWith(ctx context.Context, tr *kafka.Transport, brokers []string, topic string) error {
	cl := &kafka.Client{Addr: kafka.TCP(brokers...), Transport: tr, Timeout: 10 * time.Second}
	// Metadata first, because Produce reports every failed access only as a missing topic.
	if _, err := cl.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}}); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	resp, err := cl.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, RequiredAcks: kafka.RequireAll,
		Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte("x"))}),
	})
	if err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	return resp.Error
}

// write writes records through franz-go and fails unless all are acknowledged. It sets their partitions and offsets.
func write(t *testing.T, c *realkafka.Cluster, records ...*kgo.Record) {
	t.Helper()
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(c.Bootstrap(realkafka.Plaintext)...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(100*time.Millisecond),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(wait.Context(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// bearer is OAUTHBEARER (RFC 7628) with a fixed token.
type bearer string

func (b bearer) Name() string { return "OAUTHBEARER" }

func (b bearer) Start(context.Context) (sasl.StateMachine, []byte, error) {
	return b, []byte("n,,\x01auth=Bearer " + string(b) + "\x01\x01"), nil
}

func (b bearer) Next(_ context.Context, challenge []byte) (done bool, response []byte, err error) {
	if len(challenge) == 0 {
		return true, nil, nil
	}
	return false, []byte{1}, nil // the broker gave the reason, and now returns it as an error
}
