package simulation

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// judgeLogin is the judge's own login, with PLAIN.
const judgeLogin = "judge"

// record is a record in the topic.
type record struct {
	*kgo.Record
	at time.Duration // as the record says
	in *era
}

// header returns a header's value; "" if there is none.
func (r record) header(name string) string {
	i := slices.IndexFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == name })
	if i < 0 {
		return ""
	}
	return string(r.Headers[i].Value)
}

func (r record) String() string {
	return fmt.Sprintf("%d/%d written %v", r.Partition, r.Offset, r.at)
}

// asker sends requests to a broker without faults. Unlike a client with many goroutines, it takes the same time in
// every run.
type asker struct {
	conn   net.Conn
	format *kmsg.RequestFormatter
	number int32
}

// asker connects to a partition's leader.
func (b *brokers) asker(partition int32) (*asker, error) {
	leader := slices.Index(b.node, b.cluster.LeaderFor(topic, partition))
	wire, err := route{net: b.w.net}.dial(context.Background(), "tcp", brokerAddress(leader))
	if err != nil {
		return nil, err
	}
	a := &asker{conn: wire, format: kmsg.NewRequestFormatter(kmsg.FormatterClientID("judge"))}
	if b.tls != nil {
		a.conn = tls.Client(wire, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // G402: a certificate of this run
	}
	if b.setup.Login == "" || b.setup.Login == "OAUTHBEARER" {
		return a, nil
	}
	shake := kmsg.NewPtrSASLHandshakeRequest()
	shake.Version, shake.Mechanism = 1, "PLAIN"
	if _, err := a.Request(context.Background(), shake); err != nil {
		return nil, err
	}
	login := kmsg.NewPtrSASLAuthenticateRequest()
	login.SASLAuthBytes = []byte("\x00" + judgeLogin + "\x00" + password)
	_, err = a.Request(context.Background(), login)
	return a, err
}

// Request makes a request, for the requests' RequestWith. The answer must not have a flexible header.
func (a *asker) Request(_ context.Context, r kmsg.Request) (kmsg.Response, error) {
	a.number++
	if _, err := a.conn.Write(a.format.AppendRequest(nil, r, a.number)); err != nil {
		return nil, err
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(a.conn, head); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head)-4)
	if _, err := io.ReadFull(a.conn, body); err != nil {
		return nil, err
	}
	resp := r.ResponseKind()
	return resp, resp.ReadFrom(body)
}

// era reads the whole topic. During that time no record may be written, and no broker may be down.
func (b *brokers) era() *era {
	e := &era{from: b.begun, to: time.Since(b.w.begin)}
	for _, p := range b.cluster.PartitionInfos(topic) {
		if p.HighWatermark == 0 {
			continue
		}
		of, err := b.readPartition(p.Partition)
		if err == nil && int64(len(of)) != p.HighWatermark {
			err = fmt.Errorf("%d of %d records", len(of), p.HighWatermark)
		}
		if err != nil {
			b.w.problem("SIMULATION: partition %d cannot be read: %v", p.Partition, err)
		}
		for _, r := range of {
			e.records = append(e.records, record{r, r.Timestamp.Sub(b.w.begin), e})
		}
	}
	return e
}

func (b *brokers) readPartition(partition int32) ([]*kgo.Record, error) {
	a, err := b.asker(partition)
	if err != nil {
		return nil, err
	}
	defer func() { _ = a.conn.Close() }()
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.PartitionMaxBytes = partition, 1<<30
	r := kmsg.NewPtrFetchRequest()
	r.Version, r.MaxBytes = 11, 1<<30
	r.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	resp, err := r.RequestWith(context.Background(), a)
	if err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("an answer of %+v", resp)
	}
	got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{}, &resp.Topics[0].Partitions[0], kgo.DefaultDecompressor(), nil)
	return got.Records, got.Err
}

const defaultLimit = 1048588 // of Kafka

// limit sets the topic's largest record in bytes. If the broker is down nothing changes.
func (b *brokers) limit(bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return
	}
	a, err := b.asker(0)
	if err != nil {
		return
	}
	defer func() { _ = a.conn.Close() }()
	r := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: topic,
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "max.message.bytes", Value: new(strconv.Itoa(bytes))}},
	}}
	_, _ = r.RequestWith(context.Background(), a)
}
