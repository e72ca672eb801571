package kafka_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/handler/registration"
	"userrelay/test/kafka/ledger"
	"userrelay/test/kafkatest"
	"userrelay/test/must"
)

// TestPartitionsAsJava compares the partitions of stored records with the choice of Kafka's own producer, which the
// test runs.
func TestPartitionsAsJava(t *testing.T) {
	t.Parallel()
	partitions := []int{1, 3, 4, 32, 100}
	keys := ledger.Keys()
	java := askJava(t, keys, partitions)
	for j, n := range partitions {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(int32(n), topic), kfake.BlackholeProduce())
		if err != nil {
			t.Fatal(err)
		}
		p := newProducer(t, c.ListenAddrs(), topic)
		next := make(chan int)
		var callers sync.WaitGroup
		for range 64 {
			callers.Go(func() {
				for i := range next {
					md, err := p.Produce(t.Context(), registration.Record{Key: keys[i], Value: []byte("{}")})
					if err != nil || md.Partition != java[i][j] {
						t.Errorf("key %x of %d partitions goes to %d (%v), in Java to %d", keys[i], n, md.Partition, err, java[i][j])
					}
				}
			})
		}
		for i := range keys {
			next <- i
		}
		close(next)
		callers.Wait()
		closeProducer(t, p)
		c.Close()
	}
	t.Logf("%d keys, %d comparisons", len(keys), len(keys)*len(partitions))
}

// askJava returns the partition of each key for each number of partitions.
func askJava(t *testing.T, keys [][]byte, partitions []int) [][]int {
	t.Helper()
	home := kafkatest.Home(t)
	args := []string{"-cp", filepath.Join(home, "libs", "*"), filepath.Join("testdata", "Mur.java")}
	for _, n := range partitions {
		args = append(args, strconv.Itoa(n))
	}
	var in bytes.Buffer
	for _, key := range keys {
		in.WriteString(hex.EncodeToString(key) + "\n")
	}
	cmd := exec.CommandContext(t.Context(), "java", args...)
	cmd.Stdin, cmd.Stderr = &in, t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]int
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var row []int
		for field := range strings.FieldsSeq(lines.Text()) {
			row = append(row, must.Get[int](t)(strconv.Atoi(field)))
		}
		all = append(all, row)
	}
	if len(all) != len(keys) || slices.ContainsFunc(all, func(row []int) bool { return len(row) != len(partitions) }) {
		t.Fatalf("%d answers to %d keys", len(all), len(keys))
	}
	return all
}
