package simulation

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// judgeLogin is the judge's own login, with PLAIN.
const judgeLogin = "judge"

// asker sends requests to a broker without faults. Unlike a client with many goroutines, it takes the same time in
// every run.
type asker struct {
	conn   net.Conn
	format *kmsg.RequestFormatter
	number int32
}

// ask connects to a partition's leader.
func (b *brokers) asker(partition int) (*asker, error) {
	port := 0
	for n, id := range b.node {
		if id == b.cluster.LeaderFor(topic, int32(partition)) {
			port = firstPort + n
		}
	}
	wire, err := b.w.net.dial(context.Background(), &plainPath{w: b.w, name: "judge"}, "127.0.0.1:"+strconv.Itoa(port))
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
	_, err = a.ask(shake)
	login := kmsg.NewPtrSASLAuthenticateRequest()
	login.SASLAuthBytes = []byte("\x00" + judgeLogin + "\x00" + password)
	if err == nil {
		_, err = a.ask(login)
	}
	return a, err
}

// ask makes a request. Its answer must not have a flexible header.
func (a *asker) ask(r kmsg.Request) (kmsg.Response, error) {
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

// read reads the whole topic. During that time no record may be written, and no broker may be down.
func (b *brokers) read() (records []stored) {
	for _, p := range b.cluster.PartitionInfos(topic) {
		if p.HighWatermark == 0 {
			continue
		}
		of, err := b.readPartition(int(p.Partition))
		if err == nil && int64(len(of)) != p.HighWatermark {
			err = fmt.Errorf("%d of %d records", len(of), p.HighWatermark)
		}
		if err != nil {
			b.w.problem("SIMULATION: partition %d cannot be read: %v", p.Partition, err)
		}
		records = append(records, of...)
	}
	slices.SortFunc(records, func(x, y stored) int {
		if x.partition != y.partition {
			return int(x.partition - y.partition)
		}
		return int(x.offset - y.offset)
	})
	return records
}

func (b *brokers) readPartition(partition int) (records []stored, err error) {
	a, err := b.asker(partition)
	if err != nil {
		return nil, err
	}
	defer func() { _ = a.conn.Close() }()
	r := kmsg.NewPtrFetchRequest()
	r.Version, r.MaxBytes = 11, 1<<30
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.PartitionMaxBytes = int32(partition), 1<<30
	t.Partitions = append(t.Partitions, p)
	r.Topics = append(r.Topics, t)
	answer, err := a.ask(r)
	if err != nil {
		return nil, err
	}
	resp, ok := answer.(*kmsg.FetchResponse)
	if !ok || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		return nil, fmt.Errorf("an answer of %+v", answer)
	}
	return b.decode(int32(partition), resp.Topics[0].Partitions[0].RecordBatches)
}

// decode reads uncompressed batches of records.
func (b *brokers) decode(partition int32, raw []byte) (records []stored, err error) {
	for len(raw) > 12 {
		length := 12 + int(binary.BigEndian.Uint32(raw[8:]))
		if length > len(raw) {
			return records, errors.New("half a batch")
		}
		var batch kmsg.RecordBatch
		if err := batch.ReadFrom(raw[:length]); err != nil {
			return records, fmt.Errorf("read a batch: %w", err)
		}
		raw = raw[length:]
		left := batch.Records
		for range batch.NumRecords {
			reader := kbin.Reader{Src: left}
			size := int(reader.Varint())
			whole := len(left) - len(reader.Src) + size
			if !reader.Ok() || size < 0 || whole > len(left) {
				return records, errors.New("half a record")
			}
			var r kmsg.Record
			if err := r.ReadFrom(left[:whole]); err != nil {
				return records, fmt.Errorf("read a record: %w", err)
			}
			left = left[whole:]
			at := time.UnixMilli(batch.FirstTimestamp + r.TimestampDelta64)
			s := stored{
				partition: partition, offset: batch.FirstOffset + int64(r.OffsetDelta), at: at.Sub(b.w.begin), key: string(r.Key),
				value: string(r.Value), header: map[string]string{},
			}
			for _, h := range r.Headers {
				s.header[h.Key] = string(h.Value)
			}
			records = append(records, s)
		}
	}
	return records, nil
}

// limit sets the topic's largest record in bytes; 0: the default.
func (b *brokers) limit(bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return
	}
	value := "1048588"
	if bytes > 0 {
		value = strconv.Itoa(bytes)
	}
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = "max.message.bytes", &value
	resource.Configs = append(resource.Configs, config)
	request.Resources = append(request.Resources, resource)
	a, err := b.asker(0)
	if err != nil {
		return // if the broker is down nothing changes
	}
	defer func() { _ = a.conn.Close() }()
	_, _ = a.ask(request)
}
