package wire

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataAnswer is an answer that another implementation encoded, and its content.
func metadataAnswer(seed uint64, version int16) ([]byte, *View) {
	draw := rand.New(rand.NewPCG(seed, 0))
	v := &View{Cluster: "cluster", Err: Code(draw.IntN(2) * 3), Brokers: map[int32]string{}}
	r := kmsg.NewPtrMetadataResponse()
	r.Version, r.ClusterID = version, &v.Cluster
	rack := "rack"
	for id := range int32(draw.IntN(4)) {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port, b.Rack = id, "host", 9000+id, &rack
		r.Brokers = append(r.Brokers, b)
		v.Brokers[id] = "host:900" + string('0'+id)
	}
	t := kmsg.NewMetadataResponseTopic()
	name := "topic"
	t.Topic, t.ErrorCode = &name, int16(v.Err)
	for i := range t.TopicID {
		t.TopicID[i] = byte(draw.Uint32())
	}
	v.TopicID = t.TopicID
	n := draw.IntN(40)
	v.Partitions = make([]partitionView, n)
	for _, i := range draw.Perm(n) {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader, p.LeaderEpoch = int32(i), int32(draw.IntN(5))-1, int32(draw.IntN(9))-1
		p.Replicas = make([]int32, draw.IntN(4))
		for j := range p.Replicas {
			p.Replicas[j] = int32(draw.IntN(9))
		}
		p.ISR, p.OfflineReplicas = make([]int32, draw.IntN(4)), make([]int32, draw.IntN(3))
		t.Partitions = append(t.Partitions, p)
		v.Partitions[i] = partitionView{Leader: p.Leader, Epoch: p.LeaderEpoch, Replicas: p.Replicas, InSync: len(p.ISR)}
	}
	r.Topics = append(r.Topics, t)
	return append([]byte{0, 0, 0, 7, 0}, r.AppendTo(nil)...), v // behind the header: correlation id 7, no tagged fields
}

func TestDecodeMetadata(t *testing.T) {
	t.Parallel()
	for version := int16(firstWithTopicID); version <= lastWithTopicID; version++ {
		for seed := range uint64(40) {
			b, want := metadataAnswer(seed, version)
			correlation, got, err := decodeMetadata(b)
			if err != nil || correlation != 7 {
				t.Fatalf("version %d, seed %d: correlation id %d, %v", version, seed, correlation, err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(View{}, partitionView{})); diff != "" {
				t.Fatalf("version %d, seed %d (-want +got):\n%s", version, seed, diff)
			}
			for n := range b {
				if _, _, err := decodeMetadata(b[:n]); err == nil {
					t.Fatalf("version %d, seed %d: %d bytes of %d pass for an answer", version, seed, n, len(b))
				}
			}
		}
	}
}

func FuzzDecodeMetadata(f *testing.F) {
	for seed := range uint64(20) {
		b, _ := metadataAnswer(seed, lastWithTopicID)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, v, err := decodeMetadata(b)
		if err == nil && len(v.Leaders()) != len(v.Partitions) {
			t.Error("partitions are lost")
		}
	})
}

// TestRace tries addresses of which some are silent, some refuse and some answer.
func TestRace(t *testing.T) {
	t.Parallel()
	const silent, refuses = "silent", "refuses"
	for name, c := range map[string]struct {
		addresses []string
		want      string
		took      time.Duration
	}{
		"the first":                   {[]string{"a", "b"}, "a", 0},
		"behind one that is silent":   {[]string{silent, "b"}, "b", tryNextAfter},
		"behind one that refuses":     {[]string{refuses, "b"}, "b", 0},
		"behind several":              {[]string{silent, refuses, silent, "d"}, "d", 2 * tryNextAfter},
		"all refuse":                  {[]string{refuses, refuses}, "", 0},
		"all are silent, or refuse":   {[]string{silent, refuses}, "", time.Minute},
		"two addresses, a black hole": {[]string{silent, "b", "c"}, "b", tryNextAfter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				got, err := Race(ctx, c.addresses, func(ctx context.Context, address string) (string, error) {
					switch address {
					case silent:
						<-ctx.Done()
						return "", ctx.Err()
					case refuses:
						return "", errors.New(refuses)
					default:
						return address, nil
					}
				}, func(string) {})
				if got != c.want || (err != nil) != (c.want == "") || time.Since(start) != c.took {
					t.Errorf("got %q after %v, %v", got, time.Since(start), err)
				}
			})
		})
	}
}
