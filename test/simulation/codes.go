package simulation

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// errorCodes are the possible codes of a broker's answer to a Produce request.
func errorCodes() []*kerr.Error {
	return []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.KafkaStorageError, kerr.LeaderNotAvailable,
		kerr.UnknownTopicOrPartition, kerr.TopicAuthorizationFailed, kerr.ThrottlingQuotaExceeded, kerr.PolicyViolation,
		kerr.MessageTooLarge, kerr.CorruptMessage, kerr.UnknownServerError, kerr.InvalidTimestamp,
		kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch, kerr.ClusterAuthorizationFailed,
		kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.RecordListTooLarge, kerr.InvalidRecord,
	}
}

// spentCodes are those of errorCodes that mean that the broker does not know the producer id, or the batches sent with it.
func spentCodes() []*kerr.Error {
	return []*kerr.Error{kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch}
}

// doubtfulCodes are the codes that a broker may answer although it has stored the records.
func doubtfulCodes() []*kerr.Error {
	return []*kerr.Error{
		kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.NotLeaderForPartition, kerr.KafkaStorageError,
		kerr.UnknownServerError, kerr.NetworkException, kerr.UnknownTopicOrPartition,
	}
}

// recode replaces the codes for stored records in the answer to a Produce request, in place. codes has them by partition;
// 0 stays as it is.
func recode(b []byte, version int16, codes []int16) {
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = version
	body := 8 // size and correlation id
	if resp.IsFlexible() {
		body++ // tags
	}
	if len(b) < body || resp.ReadFrom(b[body:]) != nil {
		return
	}
	for _, t := range resp.Topics {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if code := codes[p.Partition]; code != 0 && p.ErrorCode == 0 {
				p.ErrorCode, p.BaseOffset, p.LogStartOffset = code, -1, -1
			}
		}
	}
	if again := resp.AppendTo(nil); len(again) == len(b)-body { // all of it is of fixed size
		copy(b[body:], again)
	}
}
