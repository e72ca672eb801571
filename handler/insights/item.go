package insights

import (
	"log/slog"
	"runtime"
	"strconv"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

// item is one telemetry item: a trace, unless it has a call or a fault. It holds all possible fields by value, so that
// it can be on the caller's stack.
type item struct {
	at        time.Time
	operation trace.Operation
	level     slog.Level
	text      string // name of a dependency, or the message of a trace, after which come:
	user      string // a user id,
	placed    bool   // the place

	event string // customDimensions, in this order; empty ones are omitted
	about about
	place place
	topic string
	class delivery.Class
	more  []property

	call  *call
	fault *fault
}

// about identifies the registration of an item. An event id is unique within a source, a user id within a tenant.
type about struct {
	known              bool
	userID, id, source string
}

func of(e registration.Event) about { return about{true, e.UserID, e.ID, e.Source} }

// place is where Kafka has a record.
type place struct {
	topic     string
	partition int
	offset    int64
}

func at(md delivery.RecordMetadata) place { return place{md.Topic, md.Partition, md.Offset} }

// property is a pair of an item's customDimensions.
type property struct{ key, value string }

// call has the fields that a dependency has and a trace has not.
type call struct {
	kind, target, id, result string
	duration                 time.Duration
	success                  bool
}

// fault has the fields of an exception.
type fault struct {
	kind, text string
	stack      []runtime.Frame
}

// message appends the message of a trace. It writes a place as "user-events[3]@317".
func (i *item) message(b []byte) []byte {
	b = append(append(b, registration.Cut(i.text, maxMessage)...), i.user...)
	if i.placed {
		b = strconv.AppendInt(append(append(b, i.place.topic...), '['), int64(i.place.partition), 10)
		b = strconv.AppendInt(append(b, "]@"...), i.place.offset, 10)
	}
	return b
}

// properties appends the customDimensions.
func (w *writer) properties(i *item) {
	before := len(*w)
	*w = append(*w, `,"properties":{`...)
	if i.event != "" {
		w.property(`"event":`, i.event)
	}
	if i.about.known {
		w.property(`"userId":`, i.about.userID)
		w.property(`"eventId":`, i.about.id)
		w.property(`"source":`, i.about.source)
	}
	if i.placed {
		w.property(`"topic":`, i.place.topic)
		w.number(`"partition":"`, int64(i.place.partition))
		w.number(`","offset":"`, i.place.offset)
		*w = append(*w, `",`...)
	} else if i.topic != "" {
		w.property(`"topic":`, i.topic)
	}
	if i.class != "" {
		w.property(`"errorClass":`, string(i.class))
	}
	for _, p := range i.more {
		w.text(``, p.key, maxKey)
		w.property(`:`, p.value)
	}
	if i.operation.InvocationID != "" {
		w.property(`"InvocationId":`, i.operation.InvocationID) // the key that the host uses on its own items
	}
	if last := len(*w) - 1; (*w)[last] == ',' {
		(*w)[last] = '}'
	} else {
		*w = (*w)[:before]
	}
}
