package simulation

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// The queue accepts a request whose signature is at most this much older or newer
	// (https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key, "Specifying the Date header").
	signedFor = 15 * time.Minute
	// A broker accepts records whose timestamp is at most this far in the future (message.timestamp.after.max.ms of
	// Apache Kafka 4; the default is an hour, with which the queue would also refuse).
	aheadMost = time.Minute
)

// clock is the wall clock of a machine. It jumps; elapsed time is measured by the monotonic clock, which does not.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())).Round(0) }

// off returns by how much the clock is wrong.
func (c *clock) off() time.Duration { return time.Duration(c.ahead.Load()).Abs() }

// jump moves the clock, until the function that it returns is called.
func (c *clock) jump(code int) (back func()) {
	by := []time.Duration{-26 * time.Hour, -3 * time.Minute, -5 * time.Second, 5 * time.Second, 3 * time.Minute, 26 * time.Hour}[code%6]
	c.ahead.Add(int64(by))
	return func() { c.ahead.Add(int64(-by)) }
}

// early says that a request has records of the future, which a broker refuses; kfake accepts all records.
func early(r kmsg.Request) bool {
	const firstTimestamp = 27 // its place in a batch
	latest := uint64(time.Now().Add(aheadMost).UnixMilli())
	produce, ok := r.(*kmsg.ProduceRequest)
	return ok && slices.ContainsFunc(produce.Topics, func(t kmsg.ProduceRequestTopic) bool {
		return slices.ContainsFunc(t.Partitions, func(p kmsg.ProduceRequestTopicPartition) bool {
			return len(p.Records) >= firstTimestamp+8 && binary.BigEndian.Uint64(p.Records[firstTimestamp:]) > latest
		})
	})
}
