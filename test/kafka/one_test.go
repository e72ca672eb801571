package kafka_test

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/local/realkafka"
	"userrelay/test/kafka/ledger"
	"userrelay/test/quiet"
)

// TestOneNode has the tests that need no special settings, with one broker, because its start takes time.
func TestOneNode(t *testing.T) {
	t.Parallel()
	c, proxies := proxied(t, 1)
	testSizes(t, c, "large", registration.MaxRecord)
	testSizes(t, c, "small", 50_000)
	testClock(t, c)
	testFaults(t, c, proxies[0])
}

// testSizes delivers events with profiles of random sizes, including one of 2 MB, concurrently. Each is in the log once:
// with its profile if that fits a batch of limit bytes, and otherwise without it and marked as such.
func testSizes(t *testing.T, c *realkafka.Cluster, topic string, limit int) {
	t.Helper()
	createTopic(t, c, topic, 4, 1, "max.message.bytes", strconv.Itoa(limit))
	p := newProducer(t, c.Bootstrap(realkafka.Plaintext), topic)
	r := relay.New(relay.Config{Producer: p, Observer: quiet.Observer{}, KafkaTimeout: patience})
	defer r.Close(t.Context())
	draw := rand.New(rand.NewPCG(3, 3))
	sizes := map[string]int{"large": 2_000_000}
	for i := range 300 {
		size := draw.IntN(3000)
		if i%10 == 0 {
			size = draw.IntN(2 * limit)
		}
		sizes[strconv.Itoa(i)] = size
	}
	var all sync.WaitGroup
	for id, size := range sizes {
		all.Go(func() {
			if _, err := r.Deliver(t.Context(), registration.Event{
				ID: id, UserID: "auth0|" + id, Source: "urn:auth0:test", Time: time.Now(), Profile: []byte(`{"bio":"` + strings.Repeat("x", size) + `"}`),
			}); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		})
	}
	all.Wait()
	log := read(t, c, topic)
	if len(log) != len(sizes) {
		t.Errorf("%d records of %d events", len(log), len(sizes))
	}
	for i := range log {
		const around = 900 // key, headers, batch, and what a record's size is overestimated by
		id := log[i].Header(ledger.IDHeader)
		size, ok := sizes[id]
		delete(sizes, id)
		omitted, has := log[i].Header("ce_profileomitted") == "true", bytes.Contains(log[i].Value, []byte(`"bio"`))
		if !ok || has == omitted || omitted && size+around <= limit || !omitted && size > limit {
			t.Errorf("%s, once: %v, with %d bytes at a limit of %d: has its profile %v, is marked as without %v", id, ok, size, limit, has, omitted)
		}
	}
}

// testClock has Kafka refuse records because of this machine's clock: an operator must fix that, and the record is not
// the cause.
func testClock(t *testing.T, c *realkafka.Cluster) {
	t.Helper()
	createTopic(t, c, "strict", 1, 1, "message.timestamp.before.max.ms", "60000")
	for behind, class := range map[time.Duration]delivery.Class{0: "", time.Hour: delivery.TopicRule} {
		p := kafka.New(kafka.Config{
			Brokers: c.Bootstrap(realkafka.Plaintext), Topic: "strict", Now: func() time.Time { return time.Now().Add(-behind) },
		})
		defer closeProducer(t, p)
		if err := produce(t, p, "x"); delivery.ClassOf(err) != class {
			t.Errorf("%v behind: %v, want class %q", behind, err, class)
		}
	}
}
