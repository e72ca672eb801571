package kafka

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// view is what a broker tells of its cluster and of the topic.
type view struct {
	cluster    string   // its id; "" where the broker does not tell
	topicID    [16]byte // zero where the broker does not tell (Metadata before version 10). A topic created anew has another
	err        code     // of the topic
	brokers    map[int32]string
	partitions []partitionView // by number
}

// partitionView is what a broker tells of a partition.
type partitionView struct {
	leader   int32 // noLeader where there is none
	epoch    int32 // of the leader; -1 where the broker does not tell
	err      code
	replicas []int32 // brokers
	inSync   int     // how many of them have all that is acknowledged
}

// problem says why the topic cannot be used, or nil.
func (v *view) problem() error {
	switch {
	case v.err != codeNone:
		return v.err
	case len(v.partitions) == 0:
		return codeUnknownTopic
	default:
		return nil
	}
}

// leaders returns the broker of each partition, noLeader where there is none that is known.
func (v *view) leaders() []int32 {
	leaders := make([]int32, len(v.partitions))
	for i, p := range v.partitions {
		leaders[i] = noLeader
		if _, ok := v.brokers[p.leader]; ok {
			leaders[i] = p.leader
		}
	}
	return leaders
}

// The versions of Metadata that are written here: kafka-go knows none that tells the topic's id.
const (
	firstWithTopicID = 11
	lastWithTopicID  = 12
)

// sendMetadata asks for one topic. Without a list of topics a broker tells of all; Event Hubs closes the connection of an
// identity that may see only one.
func (l *link) sendMetadata(topic string) (request, error) {
	if l.newest < firstWithTopicID {
		return l.send(&metadata.Request{TopicNames: []string{topic}})
	}
	l.correlation++
	r := request{protocol.Metadata, min(l.newest, lastWithTopicID), l.correlation}
	b := binary.BigEndian.AppendUint16(make([]byte, 4, 64+len(topic)), uint16(r.key)) // behind the size
	b = binary.BigEndian.AppendUint16(b, uint16(r.version))
	b = binary.BigEndian.AppendUint32(b, uint32(r.correlation))
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(l.links.clientID))), l.links.clientID...)
	b = append(b, 0)                                              // no tagged fields of the header
	b = append(binary.AppendUvarint(b, 1+1), make([]byte, 16)...) // one topic; no id
	b = append(binary.AppendUvarint(b, uint64(len(topic)+1)), topic...)
	b = append(b, 0, 0, 0, 0) // no tagged fields; do not create it; do not tell rights; no tagged fields
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	_, err := l.Write(b)
	return r, err
}

// receiveMetadata returns the answer to sendMetadata.
func (l *link) receiveMetadata(r request) (*view, error) {
	if r.version < firstWithTopicID {
		answer, err := answerAs[*metadata.Response](l.receive(r))
		if err != nil {
			return nil, err
		}
		return viewOf(answer, r.version)
	}
	if err := l.checkSize(); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(l.kafka, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:])) // checkSize has looked at it
	if _, err := io.ReadFull(l.kafka, b); err != nil {
		return nil, err
	}
	l.used = time.Now()
	correlation, v, err := decodeMetadata(b)
	if err == nil && correlation != r.correlation {
		err = errAnswer
	}
	return v, err
}

// metadata asks a broker for what it knows of the topic.
func (l *link) metadata(deadline time.Time, topic string) (*view, error) {
	if err := l.begin(deadline); err != nil {
		return nil, err
	}
	r, err := l.sendMetadata(topic)
	if err != nil {
		return nil, err
	}
	v, err := l.receiveMetadata(r)
	if err == nil {
		l.view = v
	}
	return v, err
}

// viewOf is a view of kafka-go's answer.
func viewOf(r *metadata.Response, version int16) (*view, error) {
	const firstWithEpoch = 7
	if len(r.Topics) != 1 {
		return nil, errAnswer
	}
	topic := r.Topics[0]
	v := &view{cluster: r.ClusterID, err: code(topic.ErrorCode), brokers: map[int32]string{}}
	for _, b := range r.Brokers {
		v.brokers[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	for range topic.Partitions {
		v.partitions = append(v.partitions, partitionView{leader: noLeader, epoch: -1})
	}
	for _, p := range topic.Partitions {
		if p.PartitionIndex < 0 || int(p.PartitionIndex) >= len(v.partitions) {
			return nil, errAnswer // they are not numbered from 0
		}
		epoch := p.LeaderEpoch
		if version < firstWithEpoch {
			epoch = -1
		}
		v.partitions[p.PartitionIndex] = partitionView{p.LeaderID, epoch, code(p.ErrorCode), p.ReplicaNodes, len(p.IsrNodes)}
	}
	return v, nil
}

// decodeMetadata reads an answer of the versions that tell topic ids (Kafka protocol guide, "Metadata API").
func decodeMetadata(b []byte) (correlation int32, v *view, err error) {
	d := decoder{b: b}
	v = &view{brokers: map[int32]string{}}
	correlation = d.int32()
	d.tags()
	d.int32() // throttle time
	for range d.count(4 + 1 + 4 + 1 + 1) {
		id, host, port := d.int32(), d.text(), d.int32()
		d.text() // rack
		d.tags()
		v.brokers[id] = net.JoinHostPort(host, strconv.Itoa(int(port)))
	}
	v.cluster = d.text()
	d.int32() // controller
	if d.count(1) != 1 {
		return 0, nil, errAnswer
	}
	v.err = code(d.int16())
	d.text() // name
	copy(v.topicID[:], d.take(len(v.topicID)))
	d.take(1) // internal
	n := d.count(2 + 3*4 + 4)
	v.partitions = make([]partitionView, n)
	seen := make([]bool, n)
	for range n {
		p := partitionView{err: code(d.int16())}
		number := d.int32()
		p.leader, p.epoch = d.int32(), d.int32()
		p.replicas = d.int32s()
		p.inSync = len(d.int32s())
		d.int32s() // offline
		d.tags()
		if number < 0 || int(number) >= n || seen[number] {
			return 0, nil, errAnswer
		}
		seen[number], v.partitions[number] = true, p
	}
	d.int32() // rights
	d.tags()
	d.tags()
	if d.bad || len(d.b) > 0 {
		return 0, nil, errAnswer
	}
	return correlation, v, nil
}

// decoder reads the flexible encoding of Kafka's protocol (KIP-482). After an error all it reads is zero.
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

// count reads the length of an array whose elements take so many bytes at least, so that no room is made for more than came.
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

// tags reads past tagged fields.
func (d *decoder) tags() {
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		d.uvarint()
		d.take(int(min(d.uvarint(), maxAnswer)))
	}
}
