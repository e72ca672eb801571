package simulation

import (
	"crypto/tls"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	topic     = "user-events"
	login     = "userrelay"
	password  = "secret"
	firstPort = 9001
)

// brokers are the current cluster, and the records of the earlier ones.
type brokers struct {
	w     *world
	setup Setup
	tls   *tls.Config // of the brokers; nil: none

	refuseIDs atomic.Int32 // number of faults that refuse producer ids

	mu      patient // held while a cluster or the topic is changed
	cluster *kfake.Cluster
	node    []int32       // ids of the brokers by their number in the plan; -1: it is away
	down    bool          // there is no cluster or no topic
	begun   time.Duration // the era of now
	codes   []*kfake.FaultHandle
	eras    []*era
}

// era is the life of a topic.
type era struct {
	from, to time.Duration
	records  []record
}

func brokerAddress(n int) string { return fmt.Sprintf("127.0.0.1:%d", firstPort+n) }

// start starts a cluster with fixed leaders.
func (b *brokers) start() {
	ports := make([]int, b.setup.Brokers)
	b.node = make([]int32, b.setup.Brokers)
	for i := range ports {
		ports[i], b.node[i] = firstPort+i, int32(i)
	}
	options := []kfake.Opt{
		kfake.Ports(ports...), kfake.ListenFn(b.w.net.Listen), kfake.SeedTopics(int32(b.setup.Partitions), topic),
		kfake.ClusterID(fmt.Sprintf("cluster-%d", len(b.eras))),
	}
	if b.tls != nil {
		options = append(options, kfake.TLS(b.tls))
	}
	if m := b.setup.Login; m != "" && m != "OAUTHBEARER" {
		options = append(options, kfake.EnableSASL(), kfake.Superuser(m, login, password), kfake.Superuser("PLAIN", judgeLogin, password))
	}
	c := must(kfake.NewCluster(options...))
	b.cluster = c
	b.lead(b.setup.Partitions)
	b.begun = time.Since(b.w.begin)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidTimestamp, Count: -1, When: early})
	control(c, func(r *kmsg.ProduceRequest) kmsg.Response {
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				b.w.logf("broker %d: %d bytes for partition %d", c.CurrentNode(), len(p.Records), p.Partition)
			}
		}
		return nil
	})
	b.countIDs()
	if b.setup.Login == "OAUTHBEARER" {
		acceptTokens(c)
	}
}

// control answers requests of a type in a cluster's place, unless the answer is nil.
func control[R kmsg.Request](c *kfake.Cluster, answer func(R) kmsg.Response) {
	var kind R
	c.ControlKey(kind.Key(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		asked, ok := r.(R)
		if !ok {
			return nil, nil, false
		}
		resp := answer(asked)
		return resp, nil, resp != nil
	})
}

// countIDs makes producer ids begin at 1000, as in every new Kafka cluster.
func (b *brokers) countIDs() {
	id := int64(1000)
	control(b.cluster, func(r *kmsg.InitProducerIDRequest) kmsg.Response {
		if b.refuseIDs.Load() != 0 {
			return nil // a fault answers
		}
		resp := kmsg.NewPtrInitProducerIDResponse()
		resp.Version, resp.ProducerID, resp.ProducerEpoch = r.Version, id, 0
		id++
		return resp
	})
}

// acceptTokens makes a cluster accept every token.
func acceptTokens(c *kfake.Cluster) {
	control(c, func(r *kmsg.SASLHandshakeRequest) kmsg.Response {
		resp := kmsg.NewPtrSASLHandshakeResponse()
		resp.Version, resp.SupportedMechanisms = r.Version, []string{"OAUTHBEARER"}
		return resp
	})
	control(c, func(r *kmsg.SASLAuthenticateRequest) kmsg.Response {
		resp := kmsg.NewPtrSASLAuthenticateResponse()
		resp.Version, resp.SessionLifetimeMillis = r.Version, (5 * time.Minute).Milliseconds()
		return resp
	})
}

// lead sets the partitions' leaders by number. b.mu is held, unless the cluster is not shared yet.
func (b *brokers) lead(partitions int) {
	for p := range partitions {
		n := p % b.setup.Brokers
		order := slices.Concat(b.node[n:], b.node[:n]) // the next one takes the place of a broker that is away
		leader := slices.IndexFunc(order, func(id int32) bool { return id >= 0 })
		check(b.cluster.MoveTopicPartition(topic, int32(p), order[leader]))
	}
}

// present returns the ids of the brokers that are not away. b.mu is held.
func (b *brokers) present() []int32 {
	return slices.DeleteFunc(slices.Clone(b.node), func(id int32) bool { return id < 0 })
}

// partitions returns the current number of partitions.
func (b *brokers) partitions() int { return len(b.cluster.PartitionInfos(topic)) }

// closeEra ends the era: it reads the topic, and blocks further writes until opened is called. b.mu is held.
func (b *brokers) closeEra() (opened func()) {
	for _, h := range b.codes {
		h.Remove() // they would affect the judge as well
	}
	b.codes = nil
	shut := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: -1})
	b.w.net.allUp()
	b.eras = append(b.eras, b.era())
	b.down = true
	return shut.Remove
}

// replace replaces this cluster by another one.
func (b *brokers) replace() (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return func() {}
	}
	b.closeEra()
	b.cluster.Close()
	b.cluster = nil // later requests are never answered
	for i := range b.setup.Brokers {
		b.w.net.cut(func(c *conn) bool { return string(c.at) == brokerAddress(i) })
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.start()
		b.down = false
	}
}

// remake deletes the topic, and creates it again with the given number of partitions.
func (b *brokers) remake(partitions int) (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return func() {}
	}
	opened := b.closeEra()
	check(b.cluster.DeleteTopic(topic))
	opened()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.begun = time.Since(b.w.begin)
		check(b.cluster.CreateTopic(topic, int32(partitions), nil))
		b.lead(partitions)
		b.down = false
	}
}

// renumber gives a broker another id.
func (b *brokers) renumber(n int) (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.node[n]
	if b.down || len(b.present()) < 2 || old < 0 {
		return func() {}
	}
	cluster := b.cluster
	check(cluster.RemoveNode(old))
	b.w.net.cut(func(c *conn) bool { return string(c.at) == brokerAddress(n) })
	b.node[n] = -1
	b.lead(b.partitions())
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.cluster != cluster {
			return
		}
		id, _, err := cluster.AddNode(old+10, firstPort+n)
		check(err)
		b.node[n] = id
		if !b.down {
			b.lead(b.partitions())
		}
	}
}

// finish returns all eras. No more records may be written.
func (b *brokers) finish() []*era {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append(b.eras, b.era())
}
