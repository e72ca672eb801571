package simulation

import (
	"crypto/tls"
	"fmt"
	"slices"
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

	mu      patient // held while a cluster or the topic is changed
	cluster *kfake.Cluster
	node    map[int]int32 // of a broker, by its number in the plan
	down    bool          // there is no cluster or no topic
	number  int           // how many there have been
	begun   time.Duration // the era of now
	codes   []*kfake.FaultHandle
	eras    []era
}

// era is the life of a topic.
type era struct {
	from, to time.Duration
	records  []stored
}

// stored is a record in the topic.
type stored struct {
	partition int32
	offset    int64
	at        time.Duration // as the record says
	key       string
	value     string
	header    map[string]string
}

func (s stored) id() string     { return s.header["ce_id"] }
func (s stored) source() string { return s.header["ce_source"] }

func brokerAddress(n int) string { return fmt.Sprintf("127.0.0.1:%d", firstPort+n) }

// start starts a cluster with fixed leaders and producer ids: the ids begin at 1000, as in every new Kafka cluster.
func (b *brokers) start() {
	ports := make([]int, b.setup.Brokers)
	b.node = map[int]int32{}
	for i := range ports {
		ports[i], b.node[i] = firstPort+i, int32(i)
	}
	options := []kfake.Opt{
		kfake.Ports(ports...), kfake.ListenFn(b.w.net.Listen), kfake.SeedTopics(int32(b.setup.Partitions), topic),
		kfake.ClusterID(fmt.Sprintf("cluster-%d", b.number)),
	}
	if b.tls != nil {
		options = append(options, kfake.TLS(b.tls))
	}
	if m := b.setup.Login; m != "" && m != "OAUTHBEARER" {
		options = append(options, kfake.EnableSASL(), kfake.Superuser(m, login, password), kfake.Superuser("PLAIN", judgeLogin, password))
	}
	c, err := kfake.NewCluster(options...)
	b.w.must(err)
	b.cluster = c
	b.number++
	b.lead(b.setup.Partitions)
	b.begun = time.Since(b.w.begin)
	id := int64(1000)
	c.ControlKey(int16(kmsg.InitProducerID), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if b.w.initCode.Load() != 0 {
			return nil, nil, false // a fault answers
		}
		answer, ok := r.ResponseKind().(*kmsg.InitProducerIDResponse)
		if !ok {
			return nil, nil, false
		}
		answer.ProducerID, answer.ProducerEpoch = id, 0
		id++
		return answer, nil, true
	})
	c.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if p, ok := r.(*kmsg.ProduceRequest); ok {
			for _, t := range p.Topics {
				for _, q := range t.Partitions {
					b.w.logf("broker %d: %d bytes for partition %d", c.CurrentNode(), len(q.Records), q.Partition)
				}
			}
			if answer, ok := early(p); ok {
				return answer, nil, true
			}
		}
		return nil, nil, false
	})
	if b.setup.Login == "OAUTHBEARER" {
		acceptTokens(c)
	}
}

// acceptTokens makes a cluster accept every token.
func acceptTokens(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.SASLHandshake), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		answer, ok := r.ResponseKind().(*kmsg.SASLHandshakeResponse)
		if ok {
			answer.SupportedMechanisms = []string{"OAUTHBEARER"}
		}
		return answer, nil, ok
	})
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		answer, ok := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		if ok {
			answer.SessionLifetimeMillis = (5 * time.Minute).Milliseconds()
		}
		return answer, nil, ok
	})
}

// lead sets the partitions' leaders by number. b.mu is held, unless the cluster is not shared yet.
func (b *brokers) lead(partitions int) {
	for p := range partitions {
		b.w.must(b.cluster.MoveTopicPartition(topic, int32(p), b.present(p)))
	}
}

func (b *brokers) nodes() []int32 {
	var nodes []int32
	for i := range b.setup.Brokers {
		nodes = append(nodes, b.node[i])
	}
	return nodes
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
	b.eras = append(b.eras, era{b.begun, time.Since(b.w.begin), b.read()})
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
		b.w.net.cut(func(c *conn) bool { return string(c.remote) == brokerAddress(i) })
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
	b.w.must(b.cluster.DeleteTopic(topic))
	opened()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.begun = time.Since(b.w.begin)
		b.w.must(b.cluster.CreateTopic(topic, int32(partitions), nil))
		b.lead(partitions)
		b.down = false
	}
}

// renumber gives a broker another id.
func (b *brokers) renumber(n int) (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, left := b.node[n], 0
	for _, id := range b.node {
		if id >= 0 {
			left++
		}
	}
	if b.down || left < 2 || old < 0 {
		return func() {}
	}
	cluster := b.cluster
	b.w.must(cluster.RemoveNode(old))
	b.w.net.cut(func(c *conn) bool { return string(c.remote) == brokerAddress(n) })
	b.node[n] = -1
	b.lead(b.partitions())
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.cluster != cluster {
			return
		}
		id, _, err := cluster.AddNode(old+10, firstPort+n)
		b.w.must(err)
		b.node[n] = id
		if !b.down {
			b.lead(b.partitions())
		}
	}
}

// present returns the id of a running broker. b.mu is held.
func (b *brokers) present(n int) int32 {
	for i := range b.setup.Brokers {
		if id := b.node[(n+i)%b.setup.Brokers]; id >= 0 {
			return id
		}
	}
	panic("no broker is left")
}

// finish returns all eras. No more records may be written.
func (b *brokers) finish() []era {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append(slices.Clone(b.eras), era{b.begun, time.Since(b.w.begin), b.read()})
}
