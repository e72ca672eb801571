package kafka

import (
	"strconv"
	"testing"

	"userrelay/test/kafka/ledger"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestPartitions compares the choice of partition with that of franz-go, which is Kafka's Java client's.
// userrelay/test/kafka compares it with the real client.
func TestPartitions(t *testing.T) {
	t.Parallel()
	for _, partitions := range []int{1, 3, 4, 32, 100} {
		t.Run(strconv.Itoa(partitions), func(t *testing.T) {
			t.Parallel()
			java := kgo.StickyKeyPartitioner(nil).ForTopic("t")
			used := map[int32]bool{}
			for _, key := range ledger.Keys() {
				got := partitionOf(key, partitions)
				if want := java.Partition(&kgo.Record{Key: key}, partitions); int(got) != want {
					t.Errorf("key %q goes to %d, want %d", key, got, want)
				}
				used[got] = true
			}
			if len(used) != partitions {
				t.Errorf("%d partitions of %d are used", len(used), partitions)
			}
		})
	}
}
