package wire

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// NoLeader is the leader of a partition without one, in metadata.
const NoLeader int32 = -1

// View is a broker's metadata of its cluster and of the topic.
type View struct {
	Cluster    string   // its id; "" if the broker does not send it
	TopicID    [16]byte // zero if the broker does not send it (Metadata before version 10). A recreated topic has another one
	Err        Code     // of the topic
	Brokers    map[int32]string
	Partitions []partitionView // by number
}

// partitionView is a broker's metadata of a partition.
type partitionView struct {
	Leader   int32 // noLeader where there is none
	Epoch    int32 // of the leader; -1 if the broker does not send it
	Err      Code
	Replicas []int32 // brokers
	InSync   int     // how many of them have all acknowledged records
}

// Problem says why the topic cannot be used, or nil.
func (v *View) Problem() error {
	switch {
	case v.Err != CodeNone:
		return v.Err
	case len(v.Partitions) == 0:
		return CodeUnknownTopic
	default:
		return nil
	}
}

// Leaders returns the broker of each partition, or NoLeader if it has no known one.
func (v *View) Leaders() []int32 {
	leaders := make([]int32, len(v.Partitions))
	for i, p := range v.Partitions {
		leaders[i] = NoLeader
		if _, ok := v.Brokers[p.Leader]; ok {
			leaders[i] = p.Leader
		}
	}
	return leaders
}

// The versions of Metadata that this file encodes: kafka-go has none with the topic's id.
const (
	firstWithTopicID = 11
	lastWithTopicID  = 12
)

// SendMetadata requests the metadata of one topic. Without a list of topics a broker sends all topics, and Event Hubs
// closes the connection of an identity that has access to one only.
func (c *Conn) SendMetadata(topic string) (Request, error) {
	if c.newest < firstWithTopicID {
		return c.Send(&metadata.Request{TopicNames: []string{topic}})
	}
	c.correlation++
	r := Request{protocol.Metadata, min(c.newest, lastWithTopicID), c.correlation}
	b := binary.BigEndian.AppendUint16(make([]byte, 4, 64+len(topic)), uint16(r.key)) // behind the size
	b = binary.BigEndian.AppendUint16(b, uint16(r.version))
	b = binary.BigEndian.AppendUint32(b, uint32(r.correlation))
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(c.dialer.clientID))), c.dialer.clientID...)
	b = append(b, 0)                                              // no tagged fields of the header
	b = append(binary.AppendUvarint(b, 1+1), make([]byte, 16)...) // one topic, without id
	b = append(binary.AppendUvarint(b, uint64(len(topic)+1)), topic...)
	b = append(b, 0, 0, 0, 0) // no tagged fields; do not create it; no rights; no tagged fields
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	_, err := c.Write(b)
	return r, err
}

// ReceiveMetadata returns the answer to SendMetadata.
func (c *Conn) ReceiveMetadata(r Request) (*View, error) {
	if r.version < firstWithTopicID {
		answer, err := AnswerAs[*metadata.Response](c.Receive(r))
		if err != nil {
			return nil, err
		}
		return viewOf(answer, r.version)
	}
	if err := c.checkSize(); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(c.kafka, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:])) // checkSize has checked it
	if _, err := io.ReadFull(c.kafka, b); err != nil {
		return nil, err
	}
	c.Used = time.Now()
	correlation, v, err := decodeMetadata(b)
	if err == nil && correlation != r.correlation {
		err = ErrAnswer
	}
	return v, err
}

// Metadata requests a broker's metadata of the topic.
func (c *Conn) Metadata(deadline time.Time, topic string) (*View, error) {
	if err := c.Begin(deadline); err != nil {
		return nil, err
	}
	r, err := c.SendMetadata(topic)
	if err != nil {
		return nil, err
	}
	v, err := c.ReceiveMetadata(r)
	if err == nil {
		c.View = v
	}
	return v, err
}

// viewOf converts kafka-go's answer to a view.
func viewOf(r *metadata.Response, version int16) (*View, error) {
	const firstWithEpoch = 7
	if len(r.Topics) != 1 {
		return nil, ErrAnswer
	}
	topic := r.Topics[0]
	v := &View{Cluster: r.ClusterID, Err: Code(topic.ErrorCode), Brokers: map[int32]string{}}
	for _, b := range r.Brokers {
		v.Brokers[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	for range topic.Partitions {
		v.Partitions = append(v.Partitions, partitionView{Leader: NoLeader, Epoch: -1})
	}
	for _, p := range topic.Partitions {
		if p.PartitionIndex < 0 || int(p.PartitionIndex) >= len(v.Partitions) {
			return nil, ErrAnswer // they are not numbered from 0
		}
		epoch := p.LeaderEpoch
		if version < firstWithEpoch {
			epoch = -1
		}
		v.Partitions[p.PartitionIndex] = partitionView{p.LeaderID, epoch, Code(p.ErrorCode), p.ReplicaNodes, len(p.IsrNodes)}
	}
	return v, nil
}

// decodeMetadata reads an answer of the versions with topic ids (Kafka protocol guide, "Metadata API").
func decodeMetadata(b []byte) (correlation int32, v *View, err error) {
	d := decoder{b: b}
	v = &View{Brokers: map[int32]string{}}
	correlation = d.int32()
	d.tags()
	d.int32() // throttle time
	for range d.count(4 + 1 + 4 + 1 + 1) {
		id, host, port := d.int32(), d.text(), d.int32()
		d.text() // rack
		d.tags()
		v.Brokers[id] = net.JoinHostPort(host, strconv.Itoa(int(port)))
	}
	v.Cluster = d.text()
	d.int32() // controller
	if d.count(1) != 1 {
		return 0, nil, ErrAnswer
	}
	v.Err = Code(d.int16())
	d.text() // name
	copy(v.TopicID[:], d.take(len(v.TopicID)))
	d.take(1) // internal
	n := d.count(2 + 3*4 + 4)
	v.Partitions = make([]partitionView, n)
	seen := make([]bool, n)
	for range n {
		p := partitionView{Err: Code(d.int16())}
		number := d.int32()
		p.Leader, p.Epoch = d.int32(), d.int32()
		p.Replicas = d.int32s()
		p.InSync = len(d.int32s())
		d.int32s() // offline
		d.tags()
		if number < 0 || int(number) >= n || seen[number] {
			return 0, nil, ErrAnswer
		}
		seen[number], v.Partitions[number] = true, p
	}
	d.int32() // rights
	d.tags()
	d.tags()
	if d.bad || len(d.b) > 0 {
		return 0, nil, ErrAnswer
	}
	return correlation, v, nil
}

// decoder reads the flexible encoding of Kafka's protocol (KIP-482). After an error it returns zero values.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || n > len(d.b) {
		d.bad, d.b = true, nil
		return make([]byte, 16)[:min(max(n, 0), 16)]
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) int16() int16 { return int16(binary.BigEndian.Uint16(d.take(2))) }

func (d *decoder) int32() int32 { return int32(binary.BigEndian.Uint32(d.take(4))) }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads the length of an array. least is the smallest encoding of an element, in bytes; it limits the length to
// what the answer can hold.
func (d *decoder) count(least int) int {
	n := d.uvarint()
	if n == 0 { // null
		return 0
	}
	if n-1 > uint64(len(d.b)/least) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n - 1)
}

// text reads a string; null is "".
func (d *decoder) text() string { return string(d.take(d.count(1))) }

func (d *decoder) int32s() []int32 {
	n := make([]int32, d.count(4))
	for i := range n {
		n[i] = d.int32()
	}
	return n
}

// tags skips tagged fields.
func (d *decoder) tags() {
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		d.uvarint()
		d.take(int(min(d.uvarint(), maxAnswer)))
	}
}
