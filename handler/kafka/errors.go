package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"userrelay/handler/delivery"
)

// classOfCode is the class of every error code that a broker can answer to the requests of this package (Kafka protocol
// guide, "Error Codes"). Codes that it should never answer are Fatal: a fault of this program or of the broker.
func classOfCode(code kafkago.Error) delivery.Class {
	switch code {
	case kafkago.UnknownTopicOrPartition, kafkago.InvalidTopic, kafkago.UnknownTopicID:
		return delivery.UnknownTopic
	case kafkago.LeaderNotAvailable, kafkago.NotLeaderForPartition, kafkago.BrokerNotAvailable, kafkago.ReplicaNotAvailable,
		kafkago.GroupLoadInProgress, kafkago.GroupCoordinatorNotAvailable, kafkago.NotCoordinatorForGroup,
		kafkago.NotEnoughReplicas, kafkago.ListenerNotFound, kafkago.FencedLeaderEpoch,
		kafkago.UnknownLeaderEpoch, kafkago.PreferredLeaderNotAvailable, kafkago.EligibleLeadersNotAvailable,
		kafkago.NotController, kafkago.InvalidMessage: // InvalidMessage: the checksum failed, damaged on its way
		return delivery.Unavailable
	case kafkago.RequestTimedOut, kafkago.NotEnoughReplicasAfterAppend, // appended, and not known to be kept
		kafkago.KafkaStorageError, kafkago.NetworkException, kafkago.Unknown, // a disk, a network or the broker failed midway
		kafkago.OutOfOrderSequenceNumber, kafkago.InvalidProducerEpoch, kafkago.UnknownProducerId, kafkago.ProducerFenced:
		return delivery.UnknownOutcome
	case kafkago.PolicyViolation, kafkago.ThrottlingQuotaExceeded: // Event Hubs answers PolicyViolation when it is overloaded
		return delivery.Throttled
	case kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed, kafkago.TransactionalIDAuthorizationFailed,
		kafkago.SASLAuthenticationFailed, kafkago.UnsupportedSASLMechanism, kafkago.IllegalSASLState,
		kafkago.SecurityDisabled, kafkago.DelegationTokenAuthorizationFailed, kafkago.DelegationTokenExpired:
		return delivery.NotAuthorized
	case kafkago.MessageSizeTooLarge, kafkago.RecordListTooLarge:
		return delivery.TooLarge
	case kafkago.InvalidRecord, kafkago.InvalidTimestamp:
		return delivery.Invalid
	default:
		return delivery.Fatal
	}
}

// classify returns the class of an error of kafka-go. sent says whether the request may have reached the broker when a
// connection failed.
func classify(err error, sent bool) delivery.Class {
	var (
		code        kafkago.Error
		classified  *delivery.Error
		certificate *tls.CertificateVerificationError
		unknownCA   x509.UnknownAuthorityError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &classified):
		return classified.Class
	case errors.As(err, &code):
		return classOfCode(code)
	case errors.As(err, &certificate), isAlert(err), errors.As(err, &unknownCA), errors.As(err, &record),
		errors.Is(err, errWantsTLS):
		return delivery.NotAuthorized
	case errors.Is(err, protocol.ErrNoTopic), errors.Is(err, protocol.ErrNoPartition), errors.Is(err, protocol.ErrNoLeader):
		return delivery.Unavailable // the metadata do not name it now; whether it exists at all, metadata's own error says
	case neverSent(err), !sent:
		return delivery.Unavailable
	default:
		return delivery.UnknownOutcome
	}
}

// isAlert says that the other side ended a TLS connection because of something it does not like. crypto/tls has no
// exported type for that where the connection is TCP.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

// neverSent says that a connection failed before the broker can have had the whole request.
func neverSent(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "write") {
		return true
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
