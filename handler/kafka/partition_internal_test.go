package kafka

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// keys makes keys as Auth0 has them, and odd ones.
func keys() [][]byte {
	r := rand.New(rand.NewPCG(1, 1))
	all := [][]byte{
		{},
		{0},
		{0, 0, 0, 0},
		{0xff},
		[]byte("a"), []byte("ab"), []byte("abc"), []byte("abcd"), []byte("21"), []byte("foobar"),
		[]byte("auth0|ümläut"), []byte("日本語|ユーザー"), []byte("😀"),
		{0xc0, 0x80},
		{0xed, 0xa0, 0x80},
	}
	for i := range 4000 {
		all = append(all, fmt.Appendf(nil, "auth0|%024x", r.Uint64()), fmt.Appendf(nil, "google-oauth2|%d", i))
	}
	for n := range 4000 {
		key := make([]byte, n%70)
		for i := range key {
			key[i] = byte(r.Uint32())
		}
		all = append(all, key)
	}
	return all
}

// TestPartitions compares the choice of partition with that of franz-go, which is Kafka's Java client's. The real one is
// asked in userrelay/test/kafka.
func TestPartitions(t *testing.T) {
	t.Parallel()
	for _, partitions := range []int{1, 3, 4, 32, 100} {
		t.Run(strconv.Itoa(partitions), func(t *testing.T) {
			t.Parallel()
			p := newProducer(Config{Brokers: []string{"127.0.0.1:1"}, Topic: "t"})
			defer p.letGo()
			p.learn(make([]int32, partitions))
			java := kgo.StickyKeyPartitioner(nil).ForTopic("t")
			used := map[int32]bool{}
			for _, key := range keys() {
				got := p.partitionOf(key)
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
