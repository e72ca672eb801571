package outbox

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// Error says why an operation on the queue failed. Its text has the operation and an error code, either the service's
// ("Common REST API error codes") or this package's. The cause is for errors.Is and errors.As.
type Error struct {
	Op     string // what was being done
	Status int    // the answer's; 0: there was none
	Code   string // the answer's error code: "AuthenticationFailed", "QueueNotFound"; or "HTTP 500", "Timeout", "NoConnection", "NoAnswer", "NoToken"
	Err    error
}

func (e *Error) Error() string {
	if e.Code == "" {
		return e.Op
	}
	return e.Op + ": " + e.Code
}

func (e *Error) Unwrap() error { return e.Err }

// errNoToken says that no token is cached.
var errNoToken = errors.New("no token")

// wrap turns the client's error into an *Error, and nil into nil.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Err: err}
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		e.Status, e.Code = answer.StatusCode, word(answer.ErrorCode)
	}
	if e.Code != "" {
		return e
	}
	dial, isNet := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, errNoToken):
		e.Code = "NoToken"
	case e.Status != 0:
		e.Code = "HTTP " + strconv.Itoa(e.Status)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e.Code = "Timeout"
	case isNet && dial.Op == "dial":
		e.Code = "NoConnection"
	default:
		e.Code = "NoAnswer"
	}
	return e
}

// codeOf returns the service's error code.
func codeOf(err error) string {
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return answer.ErrorCode
	}
	return ""
}

// word returns s only if it looks like an error code, because the answer may come from any service.
func word(s string) string {
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }) {
		return ""
	}
	return s
}
