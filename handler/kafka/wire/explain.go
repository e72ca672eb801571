package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"userrelay/handler/delivery"
)

// The sources of a broker's address.
const (
	ByBrokers  = "KAFKA_BROKERS"
	byEitherOf = "KAFKA_BROKERS or the brokers' advertised.listeners"
)

// Explain says why a broker cannot be used, and which setting to check. The text contains nothing that a broker sent.
func Explain(trouble *delivery.Error) string {
	if trouble == nil {
		return ""
	}
	return ExplainAt(trouble.Err, byEitherOf)
}

// ExplainAt is Explain for an address whose source, by, is known.
func ExplainAt(err error, by string) string {
	if errors.Is(err, ErrToken) { // first: names and certificates in this error belong to the identity service
		return explainToken(err)
	}
	if c, ok := errors.AsType[Code](err); ok {
		return ExplainCode(c)
	}
	for _, explains := range [...]func(error, string) string{explainTLS, explainDial, explainSilence, explainEnd} {
		if text := explains(err, by); text != "" {
			return text
		}
	}
	at, _ := errors.AsType[Phase](err)
	switch {
	case errors.Is(err, errNotKafka):
		return "what answers there is not a Kafka broker; see " + by + " and KAFKA_SECURITY_PROTOCOL"
	case errors.Is(err, ErrNoLeader):
		return "the topic or a partition of it has no leader now"
	case errors.Is(err, errVersion):
		return "the broker is too old or too new: " + errVersion.Error()
	case errors.Is(err, ErrOtherLog), errors.Is(err, ErrNoProof):
		return "the cluster behind KAFKA_BROKERS may be another one than before: whether it has the records in flight is unknown"
	case at == phaseLogin:
		return "the login fails: the broker's answer to it does not fit; see KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
	default:
		return "the connection to the broker fails; see " + by + " and KAFKA_SECURITY_PROTOCOL"
	}
}

func explainToken(err error) string {
	if timedOut(err) {
		return "no token for the login came in time: the identity service is slow or cannot be reached from here; the broker itself " +
			"answers. See the function app's identity, its way to login.microsoftonline.com, and KAFKA_OAUTH_SCOPE"
	}
	return "no token for the login was issued; see the function app's identity and KAFKA_OAUTH_SCOPE"
}

func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT)
}

// explainDial explains why a connection could not be opened.
func explainDial(err error, by string) string {
	if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" {
		return ""
	}
	dns, unresolved := errors.AsType[*net.DNSError](err)
	switch {
	case unresolved && dns.IsNotFound:
		return "the broker's name cannot be resolved: DNS does not have it; see " + by + " and the DNS of this machine's network"
	case unresolved:
		return "the broker's name cannot be resolved: the name server does not answer; see the DNS of this machine's network, and " + by
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the broker refuses connections: it is down, or " + by + " has another address or port than its listener"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to the broker's address; see this machine's network, and " + by
	case timedOut(err):
		return "the broker does not answer in time: nothing accepts the connection. A firewall or a network rule drops it, or " + by +
			" has a wrong address"
	default:
		return ""
	}
}

// explainSilence explains brokers that accept a connection and do not answer.
func explainSilence(err error, _ string) string {
	if !timedOut(err) {
		return ""
	}
	const silent = "the broker accepts the connection but does not answer in time "
	switch at, _ := errors.AsType[Phase](err); at {
	case phaseTLS:
		return silent + "in the TLS handshake: it hangs, or its port does not use TLS; see KAFKA_SECURITY_PROTOCOL"
	case phaseVersions:
		return silent + "to the first request: it hangs, or its port wants TLS; see KAFKA_SECURITY_PROTOCOL"
	case phaseLogin:
		return silent + "in the login: it is overloaded, or cannot reach what it checks logins with"
	default:
		return "the broker does not answer in time: it is overloaded, or hangs"
	}
}

// explainEnd explains brokers that close a connection.
func explainEnd(err error, _ string) string {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		return ""
	}
	const closes = "the broker closes connections "
	switch at, _ := errors.AsType[Phase](err); at {
	case phaseTLS:
		return closes + "in the TLS handshake: its port does not use TLS, or it is shutting down; see KAFKA_SECURITY_PROTOCOL"
	case phaseVersions:
		return closes + "at the first request: it wants another KAFKA_SECURITY_PROTOCOL (its port uses TLS), or it is shutting down"
	case phaseLogin:
		return closes + "in the login: the login is wrong, the port expects none, or the broker is shutting down; see KAFKA_SASL_MECHANISM, " +
			"KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SECURITY_PROTOCOL"
	default:
		return closes + "as soon as they are made: it is shutting down, or it wants a login; see KAFKA_SECURITY_PROTOCOL and KAFKA_SASL_MECHANISM"
	}
}

// ExplainCode is Explain for a code alone.
func ExplainCode(c Code) string {
	r := RowOf(c)
	switch {
	case r.advice != "":
		return r.advice
	case r.Class == delivery.Unavailable, r.Class == delivery.UnknownOutcome && r.name != unknownCodeName:
		return "the cluster is not ready: a leader or enough replicas are missing"
	case r.Class == delivery.Throttled:
		return "the broker is asked for more than it allows; see its quotas or throughput units"
	default:
		return "the broker answers an unexpected error code: " + c.Error()
	}
}

func explainTLS(err error, by string) string {
	hostname, otherName := errors.AsType[x509.HostnameError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	invalid, broken := errors.AsType[x509.CertificateInvalidError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case otherName && nameless(hostname.Certificate):
		return "the broker's certificate has no subject alternative name (SAN), and its common name is ignored: have one issued " +
			"with the broker's host name as SAN"
	case otherName:
		return "the broker's certificate is for another host name; see " + by + " and the certificate's subject alternative names"
	case authority:
		return "the broker's certificate is signed by an authority that is not known; see KAFKA_TLS_CA"
	case broken && invalid.Reason == x509.Expired:
		return "the broker's certificate has expired or is not valid yet, or this machine's clock is wrong"
	case certificate:
		return "the broker's certificate is not valid"
	case isAlert(err) && strings.Contains(err.Error(), "protocol version"):
		return "the broker supports no secure version of TLS; it needs 1.2 or 1.3"
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

// nameless says that a certificate has neither host names nor addresses.
func nameless(c *x509.Certificate) bool {
	return c != nil && len(c.DNSNames) == 0 && len(c.IPAddresses) == 0
}
