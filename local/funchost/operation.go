package funchost

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"time"

	"userrelay/local/uuid"
)

// operation is one run of a function, as reported on the console and to Application Insights.
type operation struct {
	function string
	id       string // of the invocation
	start    time.Time
	trigger  string // why it runs
	method   string // of an HTTP function's request, as the next two
	url      string // without its query
	path     string
	given    bool // by the client: a traceparent, valid or not

	trace  string // the operation's id in Application Insights
	parent string // of the request's row; "" if it has none
	span   string // the id of the request's row
	call   string // the id of the row for the call to the handler
	status int    // of the handler's answer; 0 if there was none
}

// newOperation begins an operation. It belongs to the client's trace if that is valid.
func newOperation(function, trigger, traceparent string) *operation {
	op := &operation{
		function: function, id: uuid.New(), start: time.Now(), trigger: trigger, given: traceparent != "",
		trace: randomHex(16), span: randomHex(8), call: randomHex(8),
	}
	if parts := regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`).FindStringSubmatch(traceparent); parts != nil {
		op.trace, op.parent = parts[1], parts[2]
	}
	return op
}

// traceparent returns the W3C header that the handler gets if the client sent none, with the flags of a host with
// classic Application Insights. The parent of the handler's items is the row of the call, or the request's row if the
// host writes none for calls.
func (op *operation) traceparent(calls bool) string {
	span := op.span
	if calls {
		span = op.call
	}
	return "00-" + op.trace + "-" + span + "-00"
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
