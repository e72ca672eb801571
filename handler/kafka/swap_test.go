package kafka_test

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"userrelay/handler/delivery"
	"userrelay/test/kafka/ledger"
)

// sameIDs makes a cluster assign the same producer ids as the previous one, as every new Kafka cluster does.
func sameIDs(c *kfake.Cluster) {
	id := int64(1000)
	c.ControlKey(kmsg.InitProducerID.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		answer, ok := r.ResponseKind().(*kmsg.InitProducerIDResponse)
		if !ok {
			return nil, nil, false
		}
		answer.ProducerID, answer.ProducerEpoch = id, 0
		id++
		return answer, nil, true
	})
}

// TestAnotherCluster has another cluster answer at the same address while a record's outcome is unknown. It assigns
// the same producer ids, and has a record of another producer with the same id and sequence: it would treat a repeat
// as that record, and the caller would be told that its record is stored.
func TestAnotherCluster(t *testing.T) {
	t.Parallel()
	withoutTopicIDs := kversion.Stable()
	withoutTopicIDs.SetMaxKeyVersion(kmsg.Metadata.Int16(), 8)
	withoutTopicIDs.SetMaxKeyVersion(kmsg.Produce.Int16(), 8)
	old := kfake.MaxVersions(withoutTopicIDs)
	for name, c := range map[string]struct {
		before int // records that are stored first
		more   int // so many more are in the second cluster before ours is sent again
		opts   []kfake.Opt
		id     string // of the second cluster
	}{
		"another id":                               {0, 1, nil, "two"},
		"the same id":                              {0, 1, nil, "one"},
		"the same id, after some records":          {3, 1, nil, "one"},
		"another id, no topic ids":                 {0, 1, []kfake.Opt{old}, "two"},
		"the same id, no topic ids":                {0, 1, []kfake.Opt{old}, "one"},
		"the same, no topic ids, shorter log":      {3, -1, []kfake.Opt{old}, "one"},
		"the same, no topic ids, longer log":       {3, 1, []kfake.Opt{old}, "one"},
		"no word of the cluster's id, no topic id": {0, 1, []kfake.Opt{old}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				first := v.broker(t, append(c.opts, kfake.ClusterID("one"))...)
				sameIDs(first)
				p := v.producer(t, first.ListenAddrs())
				for i := range c.before {
					store(t, p, strconv.Itoa(i), patience)
				}
				first.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
					first.KeepControl()
					return nil, nil, true // nobody hears of it any more
				})
				call := begin(t.Context(), p, record("ours"))
				synctest.Wait()
				first.Close()
				pass(2 * time.Millisecond) // without topic ids a log is known by the time of its records, in ms
				second := v.broker(t, append(c.opts, kfake.ClusterID(c.id))...)
				sameIDs(second)
				other := v.producer(t, second.ListenAddrs())
				var l ledger.Ledger
				for i := range c.before + c.more {
					id := "other-" + strconv.Itoa(i)
					md, _ := store(t, other, id, patience)
					l.Note(id, md, nil)
				}
				md, err := call.wait(t)
				l.Note("ours", md, err)
				wantClass(t, err, delivery.UnknownOutcome)
				pass(10 * time.Second)
				for i := range 20 { // and from now on it stores in the new one
					id := "after-" + strconv.Itoa(i)
					md, _ := store(t, p, id, patience)
					l.Note(id, md, nil)
				}
				compareVirtual(t, v, &l, second)
			})
		})
	}
}

// TestSameCluster is the opposite case: connections are lost, the same cluster answers, and the record is stored once.
func TestSameCluster(t *testing.T) {
	t.Parallel()
	withoutTopicIDs := kversion.Stable()
	withoutTopicIDs.SetMaxKeyVersion(kmsg.Metadata.Int16(), 8)
	withoutTopicIDs.SetMaxKeyVersion(kmsg.Produce.Int16(), 8)
	for name, c := range map[string]struct {
		before int
		opts   []kfake.Opt
	}{
		"topic ids, first record":       {0, nil},
		"topic ids":                     {3, nil},
		"no topic ids, after a record ": {3, []kfake.Opt{kfake.MaxVersions(withoutTopicIDs)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				b := v.broker(t, c.opts...)
				p := v.producer(t, b.ListenAddrs())
				var l ledger.Ledger
				for i := range c.before {
					md, _ := store(t, p, strconv.Itoa(i), patience)
					l.Note(strconv.Itoa(i), md, nil)
				}
				v.forget() // requests go nowhere: the attempts end without an answer
				md, _ := store(t, p, "ours", patience)
				l.Note("ours", md, nil)
				compareVirtual(t, v, &l, b)
			})
		})
	}
}

// wantOursStored checks that the caller of the record "ours" is told that it is stored, and that the log agrees with
// all answers.
func wantOursStored(t *testing.T, v *virtual, l *ledger.Ledger, c *kfake.Cluster, call *pending) {
	t.Helper()
	md, err := call.wait(t)
	l.Note("ours", md, err)
	if err != nil {
		t.Errorf("error = %v, want the record stored", err)
	}
	compareVirtual(t, v, l, c)
}

// TestRepeatRefused has a broker store a record without an answer, and refuse the repeats for a time. After that it
// answers that the record is stored. If the producer gave up earlier, the record would be written twice.
func TestRepeatRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []int16{10, 29, 32, 42, 87} {
		t.Run(strconv.Itoa(int(code)), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := newVirtual(t)
				b := v.broker(t)
				p := v.producer(t, b.ListenAddrs())
				silent := b.Fault(faultOf(kerr.RequestTimedOut.Code, 1)) // it stores the record all the same
				call := begin(t.Context(), p, record("ours"))
				if err := silent.Wait(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				refusal := b.Fault(faultOf(code, -1))
				pass(20 * time.Second)
				refusal.Remove()
				wantOursStored(t, v, new(ledger.Ledger), b, call)
			})
		})
	}
}

// TestNoIDWithoutTopic has a broker answer metadata with an error when a lane connects. The lane must not use a
// producer id then, because it could not check later whether the same topic answers.
func TestNoIDWithoutTopic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		b := v.broker(t)
		p := v.producer(t, b.ListenAddrs())
		var l ledger.Ledger
		md, _ := store(t, p, "first", patience)
		l.Note("first", md, nil)
		vague := faultOf(5, -1)
		vague.Keys = []kmsg.Key{kmsg.Metadata}
		fault := b.Fault(vague)
		v.cut(b.ListenAddrs()[0])
		b.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
			return nil, errors.New("the connection is cut"), true
		})
		call := begin(t.Context(), p, record("ours"))
		pass(5 * time.Second)
		fault.Remove()
		wantOursStored(t, v, &l, b, call)
	})
}

// TestTopicMadeAnew deletes and recreates the topic. After the producer has learnt that, a record whose answer is lost
// is stored once, and its caller gets the result: its lane has a producer id together with the new topic's id.
func TestTopicMadeAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		b := v.broker(t)
		p := v.producer(t, b.ListenAddrs())
		pass(time.Second) // its lanes connect
		client, err := kgo.NewClient(kgo.SeedBrokers(b.ListenAddrs()...), kgo.Dialer(v.network.DialContext))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		gone := kmsg.NewPtrDeleteTopicsRequest()
		name := topic
		gone.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &name}}
		anew := kmsg.NewPtrCreateTopicsRequest()
		about := kmsg.NewCreateTopicsRequestTopic()
		about.Topic, about.NumPartitions, about.ReplicationFactor = topic, 1, 1
		anew.Topics = append(anew.Topics, about)
		for _, r := range []kmsg.Request{gone, anew} {
			if _, err := client.Request(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		pass(30 * time.Second)                                 // it looks every 10 s
		lost := b.Fault(faultOf(kerr.RequestTimedOut.Code, 1)) // the broker stores the record all the same
		call := begin(t.Context(), p, record("ours"))
		if err := lost.Wait(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		v.cut(b.ListenAddrs()[0])
		wantOursStored(t, v, new(ledger.Ledger), b, call)
	})
}
