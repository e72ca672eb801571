package kafka_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/handler/kafka/wire"
	"userrelay/test/kafka/ledger"
	"userrelay/test/wait"
)

const stored = delivery.Class("") // in a table: no error

// TestCodes has a broker answer Produce requests with a code, once and permanently.
func TestCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code   int16
		once   delivery.Class // of the error when the code comes once; stored: the record was sent again
		always delivery.Class // when it comes for ever, and the caller's time ends between two attempts
	}{
		{-1, stored, delivery.UnknownOutcome}, // UNKNOWN_SERVER_ERROR
		{2, stored, delivery.Unavailable},     // CORRUPT_MESSAGE
		{3, stored, delivery.UnknownOutcome},  // UNKNOWN_TOPIC_OR_PARTITION, while the metadata know the topic
		{5, stored, delivery.UnknownOutcome},  // LEADER_NOT_AVAILABLE
		{6, stored, delivery.UnknownOutcome},  // NOT_LEADER_OR_FOLLOWER
		{7, stored, delivery.UnknownOutcome},  // REQUEST_TIMED_OUT
		{10, delivery.TooLarge, delivery.TooLarge},
		{13, stored, delivery.UnknownOutcome},                // NETWORK_EXCEPTION
		{14, stored, delivery.Unavailable},                   // COORDINATOR_LOAD_IN_PROGRESS
		{17, delivery.UnknownTopic, delivery.UnknownTopic},   // INVALID_TOPIC_EXCEPTION
		{19, stored, delivery.Unavailable},                   // NOT_ENOUGH_REPLICAS
		{20, stored, delivery.UnknownOutcome},                // NOT_ENOUGH_REPLICAS_AFTER_APPEND
		{29, delivery.NotAuthorized, delivery.NotAuthorized}, // TOPIC_AUTHORIZATION_FAILED
		{31, delivery.NotAuthorized, delivery.NotAuthorized}, // CLUSTER_AUTHORIZATION_FAILED
		{32, delivery.TopicRule, delivery.TopicRule},         // INVALID_TIMESTAMP
		{44, delivery.Throttled, delivery.Throttled},         // POLICY_VIOLATION
		{45, stored, delivery.Unavailable},                   // OUT_OF_ORDER_SEQUENCE_NUMBER
		{47, stored, delivery.Unavailable},                   // INVALID_PRODUCER_EPOCH
		{56, stored, delivery.UnknownOutcome},                // KAFKA_STORAGE_ERROR
		{58, delivery.NotAuthorized, delivery.NotAuthorized}, // SASL_AUTHENTICATION_FAILED
		{59, stored, delivery.Unavailable},                   // UNKNOWN_PRODUCER_ID
		{74, stored, delivery.UnknownOutcome},                // FENCED_LEADER_EPOCH
		{75, stored, delivery.UnknownOutcome},                // UNKNOWN_LEADER_EPOCH
		{87, delivery.Invalid, delivery.Invalid},             // INVALID_RECORD
		{89, delivery.Throttled, delivery.Throttled},         // THROTTLING_QUOTA_EXCEEDED
		{42, delivery.Fatal, delivery.Fatal},                 // INVALID_REQUEST
		{999, stored, delivery.UnknownOutcome},               // one that nobody knows yet
	} {
		t.Run(fmt.Sprint(c.code, " once"), func(t *testing.T) {
			t.Parallel()
			testCodeOnce(t, c.code, c.once)
		})
		t.Run(fmt.Sprint(c.code, " always"), func(t *testing.T) {
			t.Parallel()
			testCodeAlways(t, c.code, c.always)
		})
	}
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

func testCodeOnce(t *testing.T, code int16, want delivery.Class) {
	t.Helper()
	c := startBroker(t)
	p := newProducer(t, c.ListenAddrs())
	var l ledger.Ledger
	l.Note("before", produce(t, p, "before"), nil)
	fault := c.Fault(faultOf(code, 1))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	md, err := p.Produce(ctx, ledger.Record("x"))
	l.Note("x", md, err)
	if want != stored {
		wantClass(t, err, want)
	} else if err != nil {
		t.Errorf("error = %v, want the record stored", err)
	}
	if fault.Hits() != 1 {
		t.Errorf("the code was answered %d times", fault.Hits())
	}
	storeAfter(t, p, &l)
	if r := compare(t, &l, c); r.Copies != 0 {
		t.Errorf("%d copies", r.Copies)
	}
}

func testCodeAlways(t *testing.T, code int16, want delivery.Class) {
	t.Helper()
	c := startBroker(t)
	p := newProducer(t, c.ListenAddrs())
	var l ledger.Ledger
	l.Note("before", produce(t, p, "before"), nil)
	fault := c.Fault(faultOf(code, -1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	call := begin(ctx, p, ledger.Record("x"))
	if want == delivery.Unavailable || want == delivery.UnknownOutcome {
		// It is tried again and again.
		if err := fault.Wait(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		if want == delivery.Unavailable {
			wait.For(t, "the record is in the queue", func() bool { return p.Waiting() == 1 })
		}
		cancel()
	}
	md, err := call.wait(t)
	wantClass(t, err, want)
	l.Note("x", md, err)
	fault.Remove()
	storeAfter(t, p, &l)
	if r := compare(t, &l, c); r.Copies != 0 {
		t.Errorf("%d copies", r.Copies)
	}
}

// storeAfter stores a record after the fault has ended. If the last answer was a lasting refusal, callers get it for a
// short time after.
func storeAfter(t *testing.T, p *kafka.Producer, l *ledger.Ledger) {
	t.Helper()
	wait.For(t, "a record is stored", func() bool {
		md, err := p.Produce(t.Context(), ledger.Record("after"))
		l.Note("after", md, err)
		return err == nil
	})
}

// TestInitCodes has a broker answer InitProducerID with a code.
func TestInitCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code int16
		once delivery.Class // stored: the producer asks again
	}{
		{-1, stored},                 // UNKNOWN_SERVER_ERROR
		{14, stored},                 // COORDINATOR_LOAD_IN_PROGRESS
		{15, stored},                 // COORDINATOR_NOT_AVAILABLE
		{16, stored},                 // NOT_COORDINATOR
		{7, stored},                  // REQUEST_TIMED_OUT
		{31, delivery.NotAuthorized}, // CLUSTER_AUTHORIZATION_FAILED
		{29, delivery.NotAuthorized}, // TOPIC_AUTHORIZATION_FAILED
		{89, delivery.Throttled},     // THROTTLING_QUOTA_EXCEEDED
	} {
		t.Run(strconv.Itoa(int(c.code)), func(t *testing.T) {
			t.Parallel()
			b := startBroker(t)
			fault := faultOf(c.code, -1)
			fault.Keys, fault.Topic = []kmsg.Key{kmsg.InitProducerID}, ""
			handle := b.Fault(fault)
			p := newProducer(t, b.ListenAddrs())
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			call := begin(ctx, p, ledger.Record("x"))
			if c.once == stored {
				if err := handle.Wait(t.Context(), 10); err != nil { // lanes are warmed, and then they try again
					t.Fatal(err)
				}
				handle.Remove()
			}
			_, err := call.wait(t)
			if c.once == stored && err != nil {
				t.Errorf("error = %v, want the record stored", err)
			} else if c.once != stored {
				wantClass(t, err, c.once)
				handle.Remove()
			}
			storeAfter(t, p, new(ledger.Ledger))
		})
	}
}

// TestDuplicateSequence has a broker answer that it already has a batch, with and without its offset.
func TestDuplicateSequence(t *testing.T) {
	t.Parallel()
	c := startBroker(t)
	p := newProducer(t, c.ListenAddrs())
	produce(t, p, "before")
	for _, offset := range []int64{41, -1} {
		c.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
			return answerOf(r, kerr.DuplicateSequenceNumber.Code, offset), nil, true
		})
		if md := produce(t, p, "x"); md.Offset != offset {
			t.Errorf("offset = %d, want %d", md.Offset, offset)
		}
	}
}
