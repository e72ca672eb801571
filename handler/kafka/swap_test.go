package kafka_test

import (
	"fmt"
	"io"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/test/kafka/ledger"
)

// sameIDs makes a cluster assign the same producer ids as the previous one, as every new Kafka cluster does.
func sameIDs(c *kfake.Cluster) {
	id := int64(1000)
	answer(c, kmsg.InitProducerID, func(resp *kmsg.InitProducerIDResponse) {
		resp.ProducerID, resp.ProducerEpoch = id, 0
		id++
	})
}

// withoutTopicIDs makes a broker send no topic ids, as before Kafka 2.8.
func withoutTopicIDs() kfake.Opt {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(kmsg.Metadata.Int16(), 8)
	versions.SetMaxKeyVersion(kmsg.Produce.Int16(), 8)
	return kfake.MaxVersions(versions)
}

func (v *virtual) storeMany(p *kafka.Producer, name string, n int) {
	v.Helper()
	for i := range n {
		v.store(p, record(fmt.Sprint(name, "-", i)))
	}
}

// TestAnotherCluster has another cluster answer at the same address while a record's outcome is unknown. It assigns
// the same producer ids, and has a record of another producer with the same id and sequence: it would treat a repeat
// as that record, and the caller would be told that its record is stored.
func TestAnotherCluster(t *testing.T) {
	t.Parallel()
	old := []kfake.Opt{withoutTopicIDs()}
	for name, c := range map[string]struct {
		before int // records that are stored first
		more   int // so many more are in the second cluster before ours is sent again
		opts   []kfake.Opt
		id     string // of the second cluster
	}{
		"another id":                               {0, 1, nil, "two"},
		"the same id":                              {0, 1, nil, "one"},
		"the same id, after some records":          {3, 1, nil, "one"},
		"another id, no topic ids":                 {0, 1, old, "two"},
		"the same id, no topic ids":                {0, 1, old, "one"},
		"the same, no topic ids, shorter log":      {3, -1, old, "one"},
		"the same, no topic ids, longer log":       {3, 1, old, "one"},
		"no word of the cluster's id, no topic id": {0, 1, old, ""},
	} {
		virtually(t, name, func(v *virtual) {
			first := v.broker(append(c.opts, kfake.ClusterID("one"))...)
			sameIDs(first)
			p := v.producer(first)
			v.storeMany(p, "before", c.before)
			v.ledger = new(ledger.Ledger)
			silence(first, kmsg.Produce)
			call := v.begin(v.Context(), p, record("ours"))
			synctest.Wait()
			first.Close()
			pass(2 * time.Millisecond) // without topic ids a log is known by the time of its records, in ms
			second := v.broker(append(c.opts, kfake.ClusterID(c.id))...)
			sameIDs(second)
			v.storeMany(v.producer(second), "other", c.before+c.more)
			wantClass(v, <-call, delivery.UnknownOutcome)
			pass(10 * time.Second)
			v.storeMany(p, "after", 20) // and from now on it stores in the new one
			v.compare(second)
		})
	}
}

// TestSameCluster is the opposite case: requests go nowhere, and the same cluster answers on another connection. Without
// topic ids the lane recognises it by the records that it has stored.
func TestSameCluster(t *testing.T) {
	t.Parallel()
	for before, opt := range map[int]kfake.Opt{0: kfake.NumBrokers(1), 3: withoutTopicIDs()} {
		virtually(t, fmt.Sprint("after ", before), func(v *virtual) {
			b := v.broker(opt)
			p := v.producer(b)
			v.storeMany(p, "before", before)
			v.forget(b.ListenAddrs())
			vague := b.Fault(faultOf(5, -1, kmsg.Metadata)) // for a time it cannot be known which topic answers
			call := v.begin(v.Context(), p, record("ours"))
			pass(10 * time.Second)
			vague.Remove()
			v.wantOursStored(b, call)
		})
	}
}

// wantOursStored checks that the caller of the record "ours" is told that it is stored, and that the log agrees with
// all answers.
func (v *virtual) wantOursStored(c *kfake.Cluster, call <-chan error) {
	v.Helper()
	wantClass(v, <-call, stored)
	v.compare(c)
}

// TestRepeatRefused has a broker store a record without an answer, and refuse the repeats for a time. After that it
// answers that the record is stored. If the producer gave up earlier, the record would be written twice.
func TestRepeatRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []int16{10, 29, 32, 42, 87} {
		virtually(t, strconv.Itoa(int(code)), func(v *virtual) {
			b := v.broker()
			p := v.producer(b)
			silent := b.Fault(faultOf(kerr.RequestTimedOut.Code, 1)) // it stores the record all the same
			call := v.begin(v.Context(), p, record("ours"))
			wantClass(v, silent.Wait(v.Context(), 1), stored)
			refusal := b.Fault(faultOf(code, -1))
			pass(20 * time.Second)
			refusal.Remove()
			v.wantOursStored(b, call)
		})
	}
}

// TestNoIDWithoutTopic has a broker answer metadata with an error when a lane connects. The lane must not use a
// producer id then, because it could not check later whether the same topic answers.
func TestNoIDWithoutTopic(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		b := v.broker()
		p := v.producer(b)
		v.store(p, record("first"))
		fault := b.Fault(faultOf(5, -1, kmsg.Metadata))
		v.cut(b.ListenAddrs()[0])
		b.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, io.EOF, true }) // once
		call := v.begin(v.Context(), p, record("ours"))
		pass(5 * time.Second)
		fault.Remove()
		v.wantOursStored(b, call)
	})
}

// TestTopicMadeAnew deletes and recreates the topic. After the producer has learnt that, a record whose answer is lost
// is stored once, and its caller gets the result: its lane has a producer id together with the new topic's id.
func TestTopicMadeAnew(t *testing.T) {
	t.Parallel()
	bubble(t, func(v *virtual) {
		b := v.broker()
		p := v.producer(b)
		pass(time.Second) // its lanes connect
		wantClass(v, b.DeleteTopic(topic), stored)
		wantClass(v, b.CreateTopic(topic, 1, nil), stored)
		pass(30 * time.Second)                                 // it looks every 10 s
		lost := b.Fault(faultOf(kerr.RequestTimedOut.Code, 1)) // the broker stores the record all the same
		call := v.begin(v.Context(), p, record("ours"))
		wantClass(v, lost.Wait(v.Context(), 1), stored)
		v.cut(b.ListenAddrs()[0])
		v.wantOursStored(b, call)
	})
}
