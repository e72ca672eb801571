package realkafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/local/realkafka"
	"userrelay/test/kafkatest"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// TestThreeNodes kills the leader of a partition and restarts it.
func TestThreeNodes(t *testing.T) {
	c := kafkatest.Start(t, realkafka.Options{Nodes: 3})
	const topic = "three"
	if err := c.CreateTopic(t.Context(), topic, 1, 3, nil); err != nil {
		t.Fatal(err)
	}
	record := func(v string) *kgo.Record { return &kgo.Record{Topic: topic, Value: []byte(v)} }
	write(t, c, record("before"))
	first := must.Get[*realkafka.Node](t)(c.Leader(t.Context(), topic, 0))
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx := wait.Context(t)
	wait.For(t, "another node leads", func() bool {
		n, err := c.Leader(ctx, topic, 0)
		return err == nil && n != first
	})
	write(t, c, record("without it"))
	if err := first.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitInSync(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	// The leader of a new topic is its preferred one.
	if err := c.ElectPreferred(t.Context(), topic, 0); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "the first leader leads again", func() bool {
		n, err := c.Leader(ctx, topic, 0)
		return err == nil && n == first
	})
	write(t, c, record("after"))

	got := must.Get[[]realkafka.Record](t)(realkafka.Read(t.Context(), c.Bootstrap(realkafka.Plaintext), topic))
	if len(got) != 3 {
		t.Errorf("read %d records, want 3: %v", len(got), got)
	}
}
