package kafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

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

// broker starts a cluster on the network, which ends with the test.
func (v *virtual) broker(opts ...kfake.Opt) *kfake.Cluster {
	v.Helper()
	return startBroker(v.T, append([]kfake.Opt{kfake.Ports(9001), kfake.ListenFn(v.network.Listen)}, opts...)...)
}

// three starts three brokers. Broker i leads the partitions whose number modulo 3 is i.
func (v *virtual) three(partitions int32) *kfake.Cluster {
	v.Helper()
	c := v.broker(kfake.NumBrokers(3), kfake.Ports(9001, 9002, 9003), kfake.SeedTopics(partitions, topic))
	v.move(c, partitions, func(i int32) int32 { return i % 3 })
	return c
}

// move makes other brokers the leaders of partitions 0 to n-1.
func (v *virtual) move(c *kfake.Cluster, n int32, to func(partition int32) int32) {
	v.Helper()
	for i := range n {
		wantClass(v, c.MoveTopicPartition(topic, i, to(i)), stored)
	}
}

// faultOf answers count requests with a code, or all if count is -1: Produce requests, where there is no other key.
func faultOf(code int16, count int, keys ...kmsg.Key) kfake.Fault {
	err := kerr.TypedErrorForCode(code) // the one by which the broker knows what it does all the same
	if err.Code != code {
		err = &kerr.Error{Code: code}
	}
	if len(keys) == 0 {
		keys = []kmsg.Key{kmsg.Produce}
	}
	return kfake.Fault{Keys: keys, Err: err, Count: count}
}

// control calls f for all requests of a kind, as kfake does for one.
func control(c *kfake.Cluster, key kmsg.Key, f func(kmsg.Request) (kmsg.Response, error, bool)) {
	c.ControlKey(key.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return f(r)
	})
}

// answer answers all requests of a kind with an empty answer that edit completes.
func answer[R kmsg.Response](c *kfake.Cluster, key kmsg.Key, edit func(R)) {
	control(c, key, func(r kmsg.Request) (kmsg.Response, error, bool) {
		resp, ok := r.ResponseKind().(R)
		if ok {
			edit(resp)
		}
		return resp, nil, ok
	})
}

// silence has requests of a kind get no answer.
func silence(c *kfake.Cluster, key kmsg.Key) {
	control(c, key, func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, true })
}

// produced completes an answer: for partition 0 a code and an offset.
func produced(resp *kmsg.ProduceResponse, code int16, offset int64) {
	part := kmsg.NewProduceResponseTopicPartition()
	part.ErrorCode, part.BaseOffset = code, offset
	about := kmsg.NewProduceResponseTopic()
	about.Topic, about.Partitions = topic, append(about.Partitions, part)
	resp.Topics = append(resp.Topics, about)
}

// spoiler breaks something about a cluster.
type spoiler func(v *virtual, c *kfake.Cluster)

// answers has brokers answer requests with a code. Without nodes all do.
func answers(key kmsg.Key, code int16, nodes ...int32) spoiler {
	f := faultOf(code, -1, key)
	f.Nodes = nodes
	return func(_ *virtual, c *kfake.Cluster) { c.Fault(f) }
}

// metadata has brokers answer metadata of three brokers, each of which leads one partition, after an edit.
func metadata(edit func(*kmsg.MetadataResponse)) spoiler {
	return func(_ *virtual, c *kfake.Cluster) {
		answer(c, kmsg.Metadata, func(m *kmsg.MetadataResponse) {
			about := kmsg.NewMetadataResponseTopic()
			about.Topic = new(topic)
			for i := range int32(3) {
				b := kmsg.NewMetadataResponseBroker()
				b.NodeID, b.Host, b.Port = i, "localhost", 9001+i
				m.Brokers = append(m.Brokers, b)
				q := kmsg.NewMetadataResponseTopicPartition()
				q.Partition, q.Leader, q.Replicas, q.ISR = i, i, []int32{i}, []int32{i}
				about.Partitions = append(about.Partitions, q)
			}
			m.Topics = append(m.Topics, about)
			edit(m)
		})
	}
}

// partition is metadata of which one partition is edited.
func partition(n int, edit func(*kmsg.MetadataResponseTopicPartition)) spoiler {
	return metadata(func(m *kmsg.MetadataResponse) { edit(&m.Topics[0].Partitions[n]) })
}
