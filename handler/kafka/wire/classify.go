package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"syscall"

	"userrelay/handler/delivery"
)

// Reasons for not repeating a batch.
var (
	ErrOtherLog = errors.New("another cluster or another topic answers")
	ErrNoProof  = errors.New("it is unknown whether the same cluster answers")
)

// ErrToken says that the identity service gave no token.
var ErrToken = errors.New("get a token")

// classify returns the class of an error. sent says whether the request may have reached the broker when a connection
// failed.
func classify(err error, sent bool) delivery.Class {
	var (
		c           Code
		classified  *delivery.Error
		certificate *tls.CertificateVerificationError
		unknownCA   x509.UnknownAuthorityError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &classified):
		return classified.Class
	case errors.As(err, &c):
		return RowOf(c).Class
	case errors.As(err, &certificate), isAlert(err), errors.As(err, &unknownCA), errors.As(err, &record),
		errors.Is(err, errWantsTLS):
		return delivery.NotAuthorized
	case NeverSent(err), !sent:
		return delivery.Unavailable
	default:
		return delivery.UnknownOutcome
	}
}

// isAlert says that the other side ended a TLS connection with an alert. For TCP connections crypto/tls has no
// exported type for that.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

// NeverSent says that a connection failed before the broker can have received the whole request.
func NeverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "dial" || op.Op == "write") || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, errVersion)
}

// Fail returns the error of an operation. sent says whether the request may have reached the broker.
func Fail(op string, err error, sent bool) *delivery.Error {
	return &delivery.Error{Class: classify(err, sent), Op: op, Err: fmt.Errorf("%s: %w", op, err)}
}
