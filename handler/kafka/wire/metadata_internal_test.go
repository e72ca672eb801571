package wire

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataAnswer is an answer, and its content.
func metadataAnswer(version int16) (*kmsg.MetadataResponse, *View) {
	v := &View{Cluster: "cluster", TopicID: [16]byte{1, 15: 2}, Err: 3, Brokers: map[int32]string{3: "a:9001", 7: "b:9002"}}
	r := kmsg.NewPtrMetadataResponse()
	r.Version, r.ClusterID = version, &v.Cluster
	for id, host := range map[int32]string{3: "a", 7: "b"} {
		r.Brokers = append(r.Brokers, kmsg.MetadataResponseBroker{NodeID: id, Host: host, Port: 9000 + (id+1)/4})
	}
	r.Brokers[0].Rack = new("rack")
	t := kmsg.NewMetadataResponseTopic()
	t.Topic, t.TopicID, t.ErrorCode = new("topic"), v.TopicID, int16(v.Err)
	for i := range int32(3) {
		q := partitionView{Leader: i - 1, Epoch: 5 - i, Err: Code(5 * i), Replicas: []int32{7, 3, 9}[:i], InSync: int(i)}
		v.Partitions = append(v.Partitions, q)
		t.Partitions = slices.Insert(t.Partitions, 0, kmsg.MetadataResponseTopicPartition{
			ErrorCode: int16(q.Err), Partition: i, Leader: q.Leader, LeaderEpoch: q.Epoch, Replicas: q.Replicas,
			ISR: q.Replicas, OfflineReplicas: make([]int32, 3-i),
		})
	}
	r.Topics = append(r.Topics, t)
	return r, v
}

// encoded is an answer as another implementation encodes it, behind a header with the correlation id 7.
func encoded(r *kmsg.MetadataResponse) []byte { return r.AppendTo([]byte{0, 0, 0, 7, 0}) }

func TestDecodeMetadata(t *testing.T) {
	t.Parallel()
	for version := int16(firstWithTopicID); version <= lastWithTopicID; version++ {
		r, want := metadataAnswer(version)
		b := encoded(r)
		correlation, got, err := decodeMetadata(b)
		if err != nil || correlation != 7 {
			t.Fatalf("version %d: correlation id %d, %v", version, correlation, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(View{}, partitionView{})); diff != "" {
			t.Errorf("version %d (-want +got):\n%s", version, diff)
		}
		for n := range b {
			if _, _, err := decodeMetadata(b[:n]); err == nil {
				t.Errorf("version %d: %d bytes of %d pass for an answer", version, n, len(b))
			}
		}
		for _, number := range []int32{-1, 0, 3} { // 0 comes twice then
			r.Topics[0].Partitions[0].Partition = number
			if _, _, err := decodeMetadata(encoded(r)); err == nil {
				t.Errorf("version %d: a partition number %d, of three, passes", version, number)
			}
		}
	}
}

func FuzzDecodeMetadata(f *testing.F) {
	r, _ := metadataAnswer(lastWithTopicID)
	f.Add(encoded(r))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, v, err := decodeMetadata(b)
		if err == nil && len(v.Leaders()) != len(v.Partitions) {
			t.Error("partitions are lost")
		}
	})
}
