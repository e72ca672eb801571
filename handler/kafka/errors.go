package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"

	"userrelay/handler/delivery"
)

// classify returns the class of an error. sent says whether the request may have reached the broker when a connection
// failed.
func classify(err error, sent bool) delivery.Class {
	var (
		c           code
		classified  *delivery.Error
		certificate *tls.CertificateVerificationError
		unknownCA   x509.UnknownAuthorityError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &classified):
		return classified.Class
	case errors.As(err, &c):
		return rowOf(c).class
	case errors.As(err, &certificate), isAlert(err), errors.As(err, &unknownCA), errors.As(err, &record),
		errors.Is(err, errWantsTLS):
		return delivery.NotAuthorized
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
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "dial" || op.Op == "write") || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, errVersion)
}
