package kafka_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"userrelay/handler/delivery"
	"userrelay/test/kafka/ledger"
)

// TestStoredAndRefused has a broker store a record and answer a code that sounds as if it had not: some, as a leader does when
// it ceases to lead while it waits for its replicas, and some that no broker should answer then. There is no copy, and the
// next record must not be taken for a repeat of it: its caller would be told the other one's place.
func TestStoredAndRefused(t *testing.T) {
	t.Parallel()
	for code, class := range map[int16]delivery.Class{
		3: stored, 6: stored, 56: stored, -1: stored,
		44: delivery.Throttled, 29: delivery.NotAuthorized, 42: delivery.Fatal,
	} {
		t.Run(strconv.Itoa(int(code)), func(t *testing.T) {
			t.Parallel()
			c := startBroker(t)
			p := newProducer(t, c.ListenAddrs())
			produce(t, p, "before")
			storeAndAnswer(t, c, code)
			if _, err := p.Produce(t.Context(), ledger.Record("x")); class != stored {
				wantClass(t, err, class)
			} else if err != nil {
				t.Errorf("error = %v, want the record stored", err)
			}
			storeAfter(t, p, new(ledger.Ledger))
			found := map[string]int{}
			for _, r := range readLog(t, c) {
				for _, h := range r.Headers {
					if h.Key == ledger.IDHeader {
						found[string(h.Value)]++
					}
				}
			}
			if found["x"] != 1 || found["after"] != 1 {
				t.Errorf("the log has %v, want each of them once", found)
			}
		})
	}
}

// storeAndAnswer has the next Produce request be carried out, by way of another client, and be answered with a code.
func storeAndAnswer(t *testing.T, c *kfake.Cluster, code int16) {
	t.Helper()
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(kmsg.Produce.Int16(), 8) // topics have names, as in ours
	other, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.MaxVersions(versions))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	var begun atomic.Bool
	c.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		request, ok := r.(*kmsg.ProduceRequest)
		if !ok || begun.Swap(true) { // the other client's
			return nil, nil, false
		}
		c.KeepControl()
		var answer *kmsg.ProduceResponse
		c.SleepControl(func() {
			again := kmsg.NewPtrProduceRequest()
			again.Acks, again.TimeoutMillis, again.Topics = request.Acks, request.TimeoutMillis, request.Topics
			var err error
			if answer, err = again.RequestWith(t.Context(), other); err != nil {
				t.Error(err)
			}
		})
		if answer == nil || len(answer.Topics) != 1 || answer.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Errorf("the broker did not store the batch: %+v", answer)
			return nil, nil, false
		}
		answer.SetVersion(request.Version)
		part := &answer.Topics[0].Partitions[0]
		part.ErrorCode, part.BaseOffset = code, -1
		return answer, nil, true
	})
}
