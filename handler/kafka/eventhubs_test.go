package kafka_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/test/recorder"
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

// TestEventHubs has a broker with the versions of Event Hubs, and with its slowness. Each request for metadata names the
// topic, because Event Hubs closes the connection otherwise.
func TestEventHubs(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		c := v.broker(kfake.MaxVersions(eventHubsVersions(true)), kfake.SeedTopics(4, topic),
			kfake.EnableSASL(), kfake.Superuser("PLAIN", "$ConnectionString", "Endpoint=sb://test"))
		used := map[kmsg.Key]int16{}
		c.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			used[kmsg.Key(r.Key())] = r.GetVersion()
			switch r := r.(type) {
			case *kmsg.MetadataRequest:
				if len(r.Topics) != 1 || *r.Topics[0].Topic != topic {
					v.Errorf("metadata were asked of %v", r.Topics)
				}
			case *kmsg.InitProducerIDRequest:
				if r.TransactionalID != nil { // Kafka would create a topic for its transactions
					v.Error("an id for transactions was asked for")
				}
			case *kmsg.ProduceRequest:
				if r.TimeoutMillis != 20_000 {
					v.Errorf("the broker may take %d ms", r.TimeoutMillis)
				}
			}
			return nil, nil, false
		})
		const name = "ns.servicebus.windows.net:9093"
		v.set(name, refuses)
		p := v.producerOf(append(c.ListenAddrs(), name), login("$ConnectionString", "Endpoint=sb://test"))
		v.wantEach(v.beginMany(v.Context(), p, 100), stored)
		pass(time.Minute)
		v.slow(24 * time.Second)
		if _, took := v.store(p, record("slow")); took != 24*time.Second {
			v.Errorf("a record took %v, and the broker 24 s for each answer", took)
		}
		synctest.Wait()
		for key, want := range map[kmsg.Key]int16{kmsg.Produce: 7, kmsg.Metadata: 5, kmsg.InitProducerID: 0} {
			if got, ok := used[key]; !ok || got != want {
				v.Errorf("%s: version %d, want %d", key.Name(), got, want)
			}
		}
	})
}

func TestKnowsEventHubs(t *testing.T) {
	t.Parallel()
	for want, names := range map[bool][]string{
		true:  {"ns.servicebus.windows.net", "NS.ServiceBus.Windows.Net", "ns.servicebus.usgovcloudapi.net", "ns.servicebus.chinacloudapi.cn"},
		false: {"ns.servicebus.windows.net.example", "servicebus.windows.net.evil.com", "127.0.0.1"},
	} {
		for _, name := range names {
			if got := (kafka.Config{Brokers: []string{"kafka-0:9092", name + ":9093"}}).EventHubs(); got != want {
				t.Errorf("%s: Event Hubs: %v, want %v", name, got, want)
			}
		}
	}
}

// TestNoIdempotence has a broker without producer ids: the producer logs that once, stores records, and repeats no
// batch with an unknown outcome.
func TestNoIdempotence(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		c := v.broker(kfake.MaxVersions(eventHubsVersions(false)), kfake.NumBrokers(3), kfake.SeedTopics(4, topic), kfake.Ports(9001, 9002, 9003))
		var log recorder.Recorder
		p := v.producer(c, logTo(&log))
		for range 10 {
			wantClass(v, p.Check(v.Context()), stored)
		}
		v.wantEach(v.beginMany(v.Context(), p, 80), stored)
		certain := c.Fault(faultOf(19, 3)) // NOT_ENOUGH_REPLICAS: certainly not stored, so that it may be sent again
		v.store(p, record("again"))
		if certain.Hits() != 3 {
			v.Errorf("%d refusals, want 3", certain.Hits())
		}
		for _, code := range []int16{7, 20, 6} {
			fault := c.Fault(faultOf(code, -1))
			_, err := v.try(v.Context(), p, record(fmt.Sprint("code ", code)))
			wantClass(v, err, delivery.UnknownOutcome)
			if n := fault.Hits(); n != 1 {
				v.Errorf("code %d: %d requests, want 1", code, n)
			}
			fault.Remove()
		}
		v.storeAfter(p)
		if r := v.compare(c); r.UnknownStored != 2 { // this broker stores nothing when it does not lead
			v.Errorf("%+v", r)
		}
		if told(&log, "does not support idempotent producers") != 1 || told(&log, "\n") != 1 {
			v.Errorf("logged: %s", log.String())
		}
	})
}
