package simulation

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// errorCodes are the possible codes of a broker's answer to a Produce request, and the other effects of a fault.
func errorCodes() []*kerr.Error {
	return []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.KafkaStorageError, kerr.LeaderNotAvailable,
		kerr.UnknownTopicOrPartition, kerr.TopicAuthorizationFailed, kerr.ThrottlingQuotaExceeded, kerr.PolicyViolation,
		kerr.MessageTooLarge, kerr.CorruptMessage, kerr.UnknownServerError, kerr.InvalidTimestamp,
		kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch, kerr.ClusterAuthorizationFailed,
		kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.RecordListTooLarge, kerr.InvalidRecord,
	}
}

// spent says that a code means that the broker does not know the producer id, or the batches sent with it.
func spent(e *kerr.Error) bool {
	switch e.Code {
	case kerr.OutOfOrderSequenceNumber.Code, kerr.UnknownProducerID.Code, kerr.InvalidProducerEpoch.Code:
		return true
	default:
		return false
	}
}

// doubtfulCodes are the codes that a broker may answer although it has stored the records.
func doubtfulCodes() []*kerr.Error {
	return []*kerr.Error{
		kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.NotLeaderForPartition, kerr.KafkaStorageError,
		kerr.UnknownServerError, kerr.NetworkException, kerr.UnknownTopicOrPartition,
	}
}

// recode replaces the codes in the answer to a Produce request, in place.
func recode(b []byte, version int16, codes map[int32]int16) {
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = version
	body := 8 // size and correlation id
	if resp.IsFlexible() {
		body++ // tags
	}
	if len(b) < body || resp.ReadFrom(b[body:]) != nil {
		return
	}
	changed := false
	for i := range resp.Topics {
		for k := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[k]
			if code, ok := codes[p.Partition]; ok && p.ErrorCode == 0 {
				p.ErrorCode, p.BaseOffset, p.LogStartOffset = code, -1, -1
				changed = true
			}
		}
	}
	if !changed {
		return
	}
	again := resp.AppendTo(append([]byte(nil), b[:body]...))
	if len(again) == len(b) { // all of it is of fixed size
		copy(b, again)
		binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	}
}
