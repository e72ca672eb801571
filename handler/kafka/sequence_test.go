package kafka_test

import (
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"userrelay/handler/delivery"
	"userrelay/test/kafka/ledger"
)

// TestRefusalThatIsNone has a broker store a record and say that it does not, by a code that no broker should have for
// that. The next record must not be taken for a repeat of it: its caller would be told the other one's place.
func TestRefusalThatIsNone(t *testing.T) {
	t.Parallel()
	for code, class := range map[int16]delivery.Class{44: delivery.Throttled, 29: delivery.NotAuthorized, 42: delivery.Fatal} {
		t.Run(strconv.Itoa(int(code)), func(t *testing.T) {
			t.Parallel()
			c := startBroker(t)
			p := newProducer(t, c.ListenAddrs())
			produce(t, p, "before")
			versions := kversion.Stable()
			versions.SetMaxKeyVersion(kmsg.Produce.Int16(), 8)
			other, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.MaxVersions(versions))
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			storeAndAnswer(t, c, other, code, 1)
			_, err = p.Produce(t.Context(), ledger.Record("refused"))
			wantClass(t, err, class)
			var l ledger.Ledger
			storeAfter(t, p, &l)
			found := 0
			for _, r := range readLog(t, c) {
				for _, h := range r.Headers {
					if h.Key == ledger.IDHeader && string(h.Value) == "after" {
						found++
					}
				}
			}
			if found != 1 {
				t.Errorf("the record after it lies in the log %d times", found)
			}
		})
	}
}
