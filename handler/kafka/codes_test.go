package kafka_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka/wire"
)

// TestCodes has a broker answer Produce requests with a code, once and permanently. TestVerdicts has all codes.
func TestCodes(t *testing.T) {
	t.Parallel()
	for code, c := range map[int16]struct {
		once   delivery.Class // of the error when the code comes once; stored: the record was sent again
		always delivery.Class // when it comes for ever, and the caller's time ends between two attempts
	}{
		2:   {stored, delivery.Unavailable},                   // CORRUPT_MESSAGE
		3:   {stored, delivery.UnknownOutcome},                // UNKNOWN_TOPIC_OR_PARTITION, while the metadata know the topic
		6:   {stored, delivery.UnknownOutcome},                // NOT_LEADER_OR_FOLLOWER
		7:   {stored, delivery.UnknownOutcome},                // REQUEST_TIMED_OUT
		10:  {delivery.TooLarge, delivery.TooLarge},           // MESSAGE_TOO_LARGE
		17:  {delivery.UnknownTopic, delivery.UnknownTopic},   // INVALID_TOPIC_EXCEPTION
		19:  {stored, delivery.Unavailable},                   // NOT_ENOUGH_REPLICAS
		20:  {stored, delivery.UnknownOutcome},                // NOT_ENOUGH_REPLICAS_AFTER_APPEND
		29:  {delivery.NotAuthorized, delivery.NotAuthorized}, // TOPIC_AUTHORIZATION_FAILED
		32:  {delivery.TopicRule, delivery.TopicRule},         // INVALID_TIMESTAMP
		42:  {delivery.Fatal, delivery.Fatal},                 // INVALID_REQUEST
		44:  {delivery.Throttled, delivery.Throttled},         // POLICY_VIOLATION
		45:  {stored, delivery.Unavailable},                   // OUT_OF_ORDER_SEQUENCE_NUMBER
		87:  {delivery.Invalid, delivery.Invalid},             // INVALID_RECORD
		999: {stored, delivery.UnknownOutcome},                // one that nobody knows yet
	} {
		virtually(t, strconv.Itoa(int(code)), func(v *virtual) {
			b := v.broker()
			if code != 10 && code != 87 { // certainly not stored: brokers check one record before they append it
				v.watchSequences(b)
			}
			p := v.producer(b)
			v.store(p, record("before"))
			once := b.Fault(faultOf(code, 1))
			_, err := v.try(v.within(patience), p, record("once"))
			wantClass(v, err, c.once)
			if once.Hits() != 1 {
				v.Errorf("the code was answered %d times", once.Hits())
			}
			v.storeAfter(p)
			always := b.Fault(faultOf(code, -1))
			_, err = v.try(v.within(5*time.Second), p, record("always"))
			wantClass(v, err, c.always)
			if c.once == stored && always.Hits() < 3 {
				v.Errorf("it was tried %d times", always.Hits())
			}
			always.Remove()
			v.storeAfter(p)
			if r := v.compare(b); r.Copies != 0 {
				v.Errorf("%+v", r)
			}
		})
	}
}

// watchSequences fails the test if two different batches have the same producer id and sequence: a broker that has
// stored the first one, whatever it answered, would take the second for its repeat, and not store that.
func (v *virtual) watchSequences(c *kfake.Cluster) {
	sent := map[[2]int64]string{}
	control(c, kmsg.Produce, func(r kmsg.Request) (kmsg.Response, error, bool) {
		var batch kmsg.RecordBatch
		if request, ok := r.(*kmsg.ProduceRequest); ok {
			records := request.Topics[0].Partitions[0].Records
			wantClass(v, batch.ReadFrom(records), stored)
			at := [2]int64{batch.ProducerID, int64(batch.FirstSequence)}
			if before, known := sent[at]; known && before != string(records) {
				v.Errorf("two batches of producer and sequence %v", at)
			}
			sent[at] = string(records)
		}
		return nil, nil, false
	})
}

// The names of the codes are those of Kafka's protocol guide.
func TestCodeNames(t *testing.T) {
	t.Parallel()
	renamed := map[int16]string{kerr.NotLeaderForPartition.Code: "NOT_LEADER_OR_FOLLOWER"} // since Kafka 2.6
	known := 0
	for code := int16(-1); code < 300; code++ {
		name := strings.TrimPrefix(wire.Code(code).Error(), fmt.Sprintf("Kafka error %d ", code))
		if strings.HasPrefix(name, "(") {
			continue // not in the table
		}
		known++
		want, other := renamed[code]
		if !other {
			want = kerr.TypedErrorForCode(code).Message
		}
		if name != want {
			t.Errorf("%d is called %s, not %s", code, want, name)
		}
	}
	if known < 40 {
		t.Errorf("%d codes", known)
	}
}

// TestInitCodes has a broker answer InitProducerID with a code for 5 s.
func TestInitCodes(t *testing.T) {
	t.Parallel()
	for code, class := range map[int16]delivery.Class{
		-1: stored,                 // UNKNOWN_SERVER_ERROR
		14: stored,                 // COORDINATOR_LOAD_IN_PROGRESS
		15: stored,                 // COORDINATOR_NOT_AVAILABLE
		31: delivery.NotAuthorized, // CLUSTER_AUTHORIZATION_FAILED
		89: delivery.Throttled,     // THROTTLING_QUOTA_EXCEEDED
	} {
		virtually(t, strconv.Itoa(int(code)), func(v *virtual) {
			b := v.broker()
			fault := b.Fault(faultOf(code, -1, kmsg.InitProducerID))
			p := v.producer(b)
			call := v.begin(v.Context(), p, record("x"))
			pass(5 * time.Second)
			if class == stored && fault.Hits() < 10 { // lanes are warmed, and then they try again
				v.Errorf("it was asked for %d times", fault.Hits())
			}
			fault.Remove()
			wantClass(v, <-call, class)
			v.storeAfter(p)
		})
	}
}

// TestDuplicateSequence has a broker answer that it already has a batch of three records. It may not know the offset any
// more.
func TestDuplicateSequence(t *testing.T) {
	t.Parallel()
	for base, want := range map[int64][3]int64{40: {40, 41, 42}, -1: {-1, -1, -1}} {
		virtually(t, fmt.Sprint("offset ", base), func(v *virtual) {
			c := v.broker()
			answer(c, kmsg.Produce, func(resp *kmsg.ProduceResponse) { produced(resp, kerr.DuplicateSequenceNumber.Code, base) })
			v.set(c.ListenAddrs()[0], refuses)
			p := v.producer(c)
			var got [3]int64
			var calls sync.WaitGroup
			for i := range got {
				calls.Go(func() {
					md, _ := v.store(p, record(strconv.Itoa(i)))
					got[i] = md.Offset
				})
			}
			synctest.Wait() // they wait, and will be sent together
			v.set(c.ListenAddrs()[0], normal)
			calls.Wait()
			slices.Sort(got[:])
			if got != want {
				v.Errorf("offsets %v, want %v", got, want)
			}
		})
	}
}
