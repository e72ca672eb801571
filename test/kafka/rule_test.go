package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/local/realkafka"
	"userrelay/test/faultproxy"
	"userrelay/test/kafka/ledger"
	"userrelay/test/wait"
)

// TestTopicRule has Kafka refuse records because of their timestamp, which is this machine's clock: an operator must
// fix that, and the record is not the cause. After the topic's rule has been removed the same record is stored.
func TestTopicRule(t *testing.T) {
	t.Parallel()
	const rule = "message.timestamp.before.max.ms"
	c, proxies := proxied(t, 1)
	proxy := proxies[0]
	if err := c.CreateTopic(t.Context(), topic, 1, 1, map[string]string{rule: "1"}); err != nil {
		t.Fatal(err)
	}
	p := newProducer(t, c.Bootstrap(realkafka.Plaintext), topic)
	var l ledger.Ledger
	for _, id := range []string{"a", "b"} {
		if err := proxy.SetFaults(faultproxy.Faults{BlackHole: true}); err != nil {
			t.Fatal(err)
		}
		refused := make(chan error, 1)
		go func() { refused <- produceNoted(t, p, &l, id) }()
		<-time.After(100 * time.Millisecond) // the record is older than the rule allows when the broker gets it
		if err := proxy.SetFaults(faultproxy.Faults{}); err != nil {
			t.Fatal(err)
		}
		if err := <-refused; delivery.ClassOf(err) != delivery.TopicRule {
			t.Errorf("%s: %v, want class %s", id, err, delivery.TopicRule)
		}
	}
	setConfig(t, c, rule, "9000000000")
	for _, id := range []string{"a", "b"} {
		wait.For(t, id+" is stored", func() bool { return produceNoted(t, p, &l, id) == nil })
	}
	if r := compare(t, &l, []string{c.Node(1).Addr(realkafka.Plaintext)}, topic); r.Acknowledged != 2 || r.Copies != 0 {
		t.Error(r)
	}
}

func produceNoted(t *testing.T, p *kafka.Producer, l *ledger.Ledger, id string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	md, err := p.Produce(ctx, ledger.Record(id))
	l.Note(id, md, err)
	return err
}

// setConfig changes a setting of the topic.
func setConfig(t *testing.T, c *realkafka.Cluster, name, value string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Node(1).Addr(realkafka.Plaintext)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Op, config.Value = name, kmsg.IncrementalAlterConfigOpSet, &value
	resource.Configs = append(resource.Configs, config)
	req.Resources = append(req.Resources, resource)
	resp, err := req.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(resp.Resources[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}
