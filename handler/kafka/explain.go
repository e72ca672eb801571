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

	"userrelay/handler/delivery"
)

// explain says in our own words why a broker cannot be used, and which setting to look at. Nothing that a broker sent is
// in it.
func explain(trouble *delivery.Error) string {
	if trouble == nil {
		return ""
	}
	err := trouble.Err
	if c, ok := errors.AsType[code](err); ok {
		return explainCode(c)
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
	case errors.Is(err, errNoLeader):
		return "the topic or a partition of it has no leader now"
	case errors.Is(err, errVersion):
		return "the broker is too old or too new: " + errVersion.Error()
	case errors.Is(err, errOtherLog), errors.Is(err, errNoProof):
		return "the cluster behind KAFKA_BROKERS may be another one than before: whether it has what was under way is not known"
	default:
		return "the connection to a broker fails; see KAFKA_BROKERS and KAFKA_SECURITY_PROTOCOL"
	}
}

func explainCode(c code) string {
	r := rowOf(c)
	switch {
	case r.advice != "":
		return r.advice
	case r.class == delivery.Unavailable, r.class == delivery.UnknownOutcome && r.name != unknownCodeName:
		return "the cluster is not ready: a leader or enough replicas are missing"
	case r.class == delivery.Throttled:
		return "the broker is asked for more than it gives; see its quotas or throughput units"
	default:
		return "the broker answers a code that should not come here: " + c.Error()
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
