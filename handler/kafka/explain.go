package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"userrelay/handler/delivery"
)

// explain says in our own words why a broker cannot be used, and which setting to look at. Nothing that a broker sent is
// in it.
func explain(trouble *delivery.Error) string {
	if trouble == nil {
		return ""
	}
	err := trouble.Err
	if code, ok := errors.AsType[kafkago.Error](err); ok {
		return explainCode(code)
	}
	if text := explainTLS(err); text != "" {
		return text
	}
	_, unresolved := errors.AsType[*net.DNSError](err)
	switch {
	case unresolved:
		return "a broker's name cannot be resolved; see KAFKA_BROKERS"
	case errors.Is(err, errNotKafka):
		return "what answers there is no Kafka broker; see KAFKA_BROKERS and KAFKA_SECURITY_PROTOCOL"
	case errors.Is(err, errToken):
		return "no token for the login could be had; see the function app's identity and KAFKA_OAUTH_SCOPE"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "a broker refuses connections: it is down, or KAFKA_BROKERS names another port"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return "a broker does not answer in time; see KAFKA_BROKERS, firewalls, and whether it is overloaded"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "a broker closes connections: it is going down, or it wants another KAFKA_SECURITY_PROTOCOL or KAFKA_SASL_MECHANISM"
	case errors.Is(err, protocol.ErrNoTopic), errors.Is(err, protocol.ErrNoPartition), errors.Is(err, protocol.ErrNoLeader):
		return "the topic or a partition of it has no leader now"
	default:
		return "the connection to a broker fails; see KAFKA_BROKERS and KAFKA_SECURITY_PROTOCOL"
	}
}

func explainCode(code kafkago.Error) string {
	switch code { //nolint:exhaustive // these have a cause of their own, the others one by class
	case kafkago.SASLAuthenticationFailed:
		return "the broker refuses the login; see KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, or the token's audience and rights"
	case kafkago.UnsupportedSASLMechanism, kafkago.IllegalSASLState:
		return "the broker does not offer this login; see KAFKA_SASL_MECHANISM and KAFKA_SECURITY_PROTOCOL"
	case kafkago.TopicAuthorizationFailed:
		return "the login may not see or write the topic; it needs DESCRIBE and WRITE on KAFKA_TOPIC"
	case kafkago.ClusterAuthorizationFailed:
		return "the login may write to no topic; it needs WRITE on KAFKA_TOPIC"
	case kafkago.UnknownTopicOrPartition, kafkago.InvalidTopic:
		return "the topic does not exist; make it, or see KAFKA_TOPIC"
	}
	switch classOfCode(code) {
	case delivery.Unavailable, delivery.UnknownOutcome:
		return "the cluster is not ready: a leader or enough replicas are missing"
	case delivery.Throttled:
		return "the broker is asked for more than it gives; see its quotas or throughput units"
	default:
		return "the broker answers a code that should not come here: " + code.Title()
	}
}

func explainTLS(err error) string {
	_, hostname := errors.AsType[x509.HostnameError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	invalid, broken := errors.AsType[x509.CertificateInvalidError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case hostname:
		return "the broker's certificate is for another host name; see KAFKA_BROKERS"
	case authority:
		return "the broker's certificate is signed by an authority that is not known; see KAFKA_TLS_CA"
	case broken && invalid.Reason == x509.Expired:
		return "the broker's certificate has expired or is not valid yet"
	case certificate:
		return "the broker's certificate is not valid"
	case isAlert(err):
		return "the broker refuses the TLS connection, by its rules for clients' certificates; see KAFKA_TLS_CERT and KAFKA_TLS_KEY"
	case errors.Is(err, errWantsTLS):
		return "the broker wants TLS on this port; see KAFKA_SECURITY_PROTOCOL"
	case noTLS:
		return "the broker does not speak TLS on this port; see KAFKA_SECURITY_PROTOCOL"
	default:
		return ""
	}
}
