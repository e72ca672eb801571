package funchost

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"userrelay/local/uuid"
)

// newQueueInvocation returns the body of an invocation for a message, with the host's encoding of values:
//
//   - bytes are base64, times are cut to whole seconds, objects are objects;
//   - anything else is a JSON string that holds the value's JSON text, so that a string is quoted twice.
func newQueueInvocation(fn queueFunction, m message, body []byte, now time.Time) ([]byte, error) {
	var data any = body // bytes become base64
	metadata := bindingData{}
	metadata.set("DequeueCount", strconv.FormatInt(m.dequeueCount, 10))
	metadata.set("ExpirationTime", seconds(m.expires))
	metadata.set("Id", quoted(m.id))
	metadata.set("InsertionTime", seconds(m.inserted))
	metadata.set("NextVisibleTime", seconds(m.nextVisible))
	metadata.set("PopReceipt", quoted(m.receipt))
	metadata.set("sys", map[string]string{
		"MethodName": fn.name,
		"UtcNow":     now.UTC().Format("2006-01-02T15:04:05.0000000Z"),
		"RandGuid":   uuid.New(),
	})
	if !fn.binary {
		text := strings.ToValidUTF8(string(body), "\uFFFD")
		data = quoted(text)
		metadata.merge(text)
	}
	payload, err := json.Marshal(struct {
		Data     map[string]any
		Metadata bindingData
	}{map[string]any{fn.binding: data}, metadata}, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("write the invocation of %s: %w", fn.name, err)
	}
	return payload, nil
}

// bindingData is an object whose names ignore case. Names that end in "trigger" are omitted.
type bindingData map[string]any

func (b bindingData) set(name string, value any) {
	if hasSuffixFold(name, "trigger") {
		return
	}
	for known := range b {
		if strings.EqualFold(known, name) {
			name = known // the first spelling stays
		}
	}
	b[name] = value
}

// merge adds the members of a message that is a JSON object. They replace existing ones: an "id" in the message
// replaces the message's own id. Arrays and null are omitted.
func (b bindingData) merge(text string) {
	var members map[string]jsontext.Value
	if json.Unmarshal([]byte(text), &members, jsontext.AllowDuplicateNames(true)) != nil {
		return // not an object
	}
	for name, value := range members {
		switch value.Kind() {
		case '{':
			b.set(name, value)
		case '[', 'n':
		case '"':
			var s string
			if json.Unmarshal(value, &s) == nil {
				b.set(name, quoted(asDate(s)))
			}
		case 't':
			b.set(name, quoted("True"))
		case 'f':
			b.set(name, quoted("False"))
		default:
			b.set(name, quoted(value.String()))
		}
	}
}

// asDate converts a string that looks like a time to the host's format, and returns other strings unchanged. The
// result is in the time zone of the host's machine, which is UTC on Azure.
func asDate(s string) string {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		if t, err = time.Parse("2006-01-02T15:04:05.999999999", s); err != nil {
			return s
		}
	}
	return t.UTC().Format("01/02/2006 15:04:05")
}

// quoted returns the JSON text of a string.
func quoted(s string) string {
	text, _ := jsontext.AppendQuote(nil, s) // its only error is invalid UTF-8, which becomes U+FFFD
	return string(text)
}

// seconds writes a time in the host's format.
func seconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05+00:00") }
