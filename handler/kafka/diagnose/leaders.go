package diagnose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka/wire"
)

const emptySet = 4 // bytes, the size of a record set without a record

// holder is a broker that has replicas of the topic.
type holder struct {
	id      int32
	address string
	leads   []int32 // partitions

	// What was found.
	err       error     // of the connection
	elsewhere []int32   // partitions that it says it does not lead
	refused   wire.Code // for the right to write
	noIDs     bool      // it knows no idempotent producers
	unseen    bool      // it does not say whether writing is permitted
}

// leaders tries each broker that leads a partition or may become a leader, concurrently, at the address that the
// cluster gives for it.
func (d *diagnosis) leaders(ctx context.Context) {
	holders := d.holders()
	var tries sync.WaitGroup
	for _, h := range holders {
		tries.Go(func() { h.err = d.try(ctx, h) })
	}
	tries.Wait()
	for _, h := range holders {
		d.judge(h)
	}
	d.write(slices.DeleteFunc(holders, func(h *holder) bool { return len(h.leads) == 0 }))
}

// write reports whether leaders accept records.
func (d *diagnosis) write(leaders []*holder) {
	refused := map[wire.Code][]int32{} // by whom
	good, unseen, plain := len(leaders) > 0, false, false
	for _, h := range leaders {
		good = good && h.err == nil && len(h.elsewhere) == 0 && h.refused == wire.CodeNone
		unseen, plain = unseen || h.unseen, plain || h.noIDs
		if h.refused != wire.CodeNone {
			refused[h.refused] = append(refused[h.refused], h.id)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(refused)) {
		who := "" // all say so
		if ids := refused[c]; len(ids) < len(leaders) {
			who = " (" + listed("broker", ids, "says so", "say so") + ")"
		}
		d.sayTopic(Failure, "%s%s", wire.ExplainCode(c), who)
	}
	switch {
	case good && unseen:
		d.sayTopic(Warning, "its leaders can be reached; whether writing is allowed cannot be told without a record")
	case good:
		d.sayTopic(Good, "may be written to")
	}
	if plain {
		d.sayTopic(Warning, "its brokers do not support idempotent producers (InitProducerId): after a lost answer the outcome is unknown")
	}
}

// holders returns the brokers that lead partitions, and those that only have replicas, by id.
func (d *diagnosis) holders() []*holder {
	all := map[int32]*holder{}
	of := func(id int32) *holder {
		if all[id] == nil {
			all[id] = &holder{id: id, address: d.view.Brokers[id]}
		}
		return all[id]
	}
	for i, leader := range d.view.Leaders() {
		for _, id := range d.view.Partitions[i].Replicas {
			if _, alive := d.view.Brokers[id]; alive {
				of(id)
			}
		}
		if leader != wire.NoLeader {
			of(leader).leads = append(of(leader).leads, int32(i))
		}
	}
	var holders []*holder
	for _, id := range slices.Sorted(maps.Keys(all)) {
		holders = append(holders, all[id])
	}
	return holders
}

var errAddress = errors.New("an address that is not host:port")

// try connects to a broker. A broker that leads no partition is not asked more.
func (d *diagnosis) try(ctx context.Context, h *holder) error {
	if _, ok := shown(h.address); !ok {
		return errAddress
	}
	err := d.cluster.With(ctx, h.address, func(l *wire.Conn, deadline time.Time) (err error) {
		if len(h.leads) == 0 {
			_, err = l.Metadata(deadline, d.config.Topic)
			return err
		}
		if err := d.tryLeads(l, deadline, h); err != nil {
			return err
		}
		if err := d.tryID(ctx, l, deadline, h); err != nil || h.refused != wire.CodeNone {
			return err
		}
		return d.tryWrite(l, deadline, h)
	})
	if c, ok := errors.AsType[wire.Code](err); ok && lasting(c) {
		if _, opening := errors.AsType[wire.Phase](err); !opening { // the broker refused the request, not the connection
			h.refused, err = c, nil
		}
	}
	return err
}

// lasting says that a code concerns rights or the topic, which waiting does not change.
func lasting(c wire.Code) bool {
	class := wire.RowOf(c).Class
	return class == delivery.NotAuthorized || class == delivery.UnknownTopic
}

// tryLeads asks for the newest offset of each partition, which only the leader answers.
func (d *diagnosis) tryLeads(l *wire.Conn, deadline time.Time, h *holder) error {
	about := listoffsets.RequestTopic{Topic: d.config.Topic}
	for _, n := range h.leads {
		about.Partitions = append(about.Partitions, listoffsets.RequestPartition{Partition: n, CurrentLeaderEpoch: -1, Timestamp: wire.Latest})
	}
	r, err := wire.Exchange[*listoffsets.Response](l, deadline, &listoffsets.Request{ReplicaID: -1, Topics: []listoffsets.RequestTopic{about}})
	if err != nil {
		return err
	}
	for _, t := range r.Topics {
		for _, q := range t.Partitions {
			switch c := wire.Code(q.ErrorCode); {
			case c == wire.CodeNone:
			case lasting(c) && c != wire.CodeUnknownTopic: // a broker that does not lead a partition may not know it at all
				return c
			default:
				h.elsewhere = append(h.elsewhere, q.Partition)
			}
		}
	}
	return nil
}

// tryID asks for a producer id, which is the first request of a lane.
func (d *diagnosis) tryID(ctx context.Context, l *wire.Conn, deadline time.Time, h *holder) error {
	if h.noIDs = !l.Knows(protocol.InitProducerId); h.noIDs {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	_, err := l.NewProducerID(ctx, d.config.Topic)
	return err
}

// tryWrite tests the right to write with a request without a record: brokers check rights first.
func (d *diagnosis) tryWrite(l *wire.Conn, deadline time.Time, h *holder) error {
	about := rawproduce.RequestTopic{Topic: d.config.Topic}
	for _, n := range h.leads {
		about.Partitions = append(about.Partitions, rawproduce.RequestPartition{
			Partition: n, RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(make([]byte, emptySet))},
		})
	}
	r, err := wire.Exchange[*produce.Response](l, deadline, &rawproduce.Request{
		Acks: wire.AcksAll, Timeout: int32(d.config.BrokerTimeout().Milliseconds()), Topics: []rawproduce.RequestTopic{about},
	})
	if d.config.EventHubs() && errors.Is(err, io.EOF) { // its reaction to such a request is unknown
		h.unseen = true
		return nil
	}
	if err != nil {
		return err
	}
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != len(h.leads) {
		return wire.ErrAnswer
	}
	for _, q := range r.Topics[0].Partitions {
		if c := wire.Code(q.ErrorCode); lasting(c) && !slices.Contains(h.elsewhere, q.Partition) { // other brokers answer that there is no record
			return c
		}
	}
	return nil
}

// judge reports what is wrong with a broker, except rights, which concern the topic.
func (d *diagnosis) judge(h *holder) {
	address, _ := shown(h.address)
	subject, by := fmt.Sprintf("broker %d at %s", h.id, address), fmt.Sprintf("advertised.listeners of broker %d (not KAFKA_BROKERS)", h.id)
	if slices.Contains(d.config.Brokers, h.address) {
		by = fmt.Sprintf("KAFKA_BROKERS (and advertised.listeners of broker %d, which has the same)", h.id)
	}
	grade, leads := Failure, "leads "+listed("partition", h.leads, "", "")
	if len(h.leads) == 0 {
		grade, leads = Warning, "leads no partition now, but may come to"
	}
	switch {
	case errors.Is(h.err, errAddress):
		d.say(grade, subject, leads+", and cannot be reached there: fix advertised.listeners of this broker")
	case h.err != nil:
		d.say(grade, subject, leads+", and cannot be used: "+wire.ExplainAt(h.err, by)+d.loopback(h.address))
	case len(h.elsewhere) > 0:
		d.say(grade, subject, "does not lead "+listed("partition", h.elsewhere, "", "")+", although the cluster says so: the address leads to another "+
			"broker, or the leader is changing now. See advertised.listeners of this broker")
	}
}

// loopback returns a hint if a remote cluster refers its clients to their own machine.
func (d *diagnosis) loopback(address string) string {
	if local(address) && !slices.ContainsFunc(d.config.Brokers, local) {
		return ". The address is this machine's own"
	}
	return ""
}

func local(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}
