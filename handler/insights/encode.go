package insights

import (
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/registration"
)

// Node identifies the origin of items: the component's instrumentation key, and the node on the application map.
type Node struct{ Key, Role, Instance, Version string }

// Encoder writes items in the format of Application Insights: each item is a line of JSON, an envelope of the
// contracts of ApplicationInsights-Go. It writes JSON directly, without the contracts' Go types, because three items
// for each registration are a large part of the program's processor time. It is safe for use by several goroutines.
type Encoder struct {
	trace, dependency, exception []byte    // an envelope up to its time
	node                         []byte    // from there to the tags that every item has
	lines                        sync.Pool // of *[]byte
}

// NewEncoder returns an Encoder of items of the node.
func NewEncoder(n Node) *Encoder {
	key := strings.ReplaceAll(n.Key, "-", "")
	head := func(name string) []byte {
		w := writer{}
		w.text(`{"ver":1,"name":`, name, maxName)
		return append(w, `,"time":"`...)
	}
	tags := contracts.ContextTags{}
	tags.Cloud().SetRole(registration.Cut(n.Role, 256))
	tags.Cloud().SetRoleInstance(registration.Cut(n.Instance, 256))
	tags.Application().SetVer(registration.Cut(n.Version, maxName))
	tags.Internal().SetSdkVersion(registration.Cut("userrelay:"+n.Version, 64))
	node := writer(`","sampleRate":100,"seq":""`)
	node.text(`,"iKey":`, n.Key, maxName)
	before := `,"tags":{`
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		node.text(before, tag, maxName)
		node.text(`:`, tags[tag], maxName)
		before = `,`
	}
	return &Encoder{
		trace:      head(contracts.NewMessageData().EnvelopeName(key)),
		dependency: head(contracts.NewRemoteDependencyData().EnvelopeName(key)),
		exception:  head(contracts.NewExceptionData().EnvelopeName(key)),
		node:       node,
		lines:      sync.Pool{New: func() any { return new([]byte) }},
	}
}

// Limits of the schema, in bytes.
const (
	maxMessage  = 32768
	maxProperty = 8192
	maxKey      = 150
	maxName     = 1024 // of a dependency, its target and result, an operation, a type, a stack frame
)

// send hands the item to the sink.
func (e *Encoder) send(to Sink, i *item) {
	line, _ := e.lines.Get().(*[]byte)
	*line = e.append((*line)[:0], i)
	to.Track(*line)
	e.lines.Put(line)
}

// append appends the item. It replaces invalid UTF-8 by U+FFFD, and cuts text that is too long for the schema.
func (e *Encoder) append(line []byte, i *item) []byte {
	head := e.trace
	switch {
	case i.call != nil:
		head = e.dependency
	case i.fault != nil:
		head = e.exception
	}
	w := append(writer(line), head...)
	w.time(i.at)
	w = append(w, e.node...)
	if i.operation.TraceID != "" {
		w.text(`,"ai.operation.id":`, i.operation.TraceID, maxName) // all ids are short
	}
	if i.operation.Name != "" {
		w.text(`,"ai.operation.name":`, i.operation.Name, maxName)
	}
	if i.operation.SpanID != "" {
		w.text(`,"ai.operation.parentId":`, i.operation.SpanID, maxName)
	}
	switch {
	case i.call != nil:
		w.text(`},"data":{"baseType":"RemoteDependencyData","baseData":{"ver":2,"name":`, i.text, maxName)
		w.call(i.call)
	case i.fault != nil:
		w.fault(i.fault)
	default:
		var room [256]byte
		w = append(w, `},"data":{"baseType":"MessageData","baseData":{"ver":2,"message":`...)
		w = quoted(w, i.message(room[:0]))
		w.number(`,"severityLevel":`, int64(severity(i.level)))
	}
	w.properties(i)
	return append(w, `}}}`...)
}

// writer appends members of JSON objects. A name is passed in its JSON form, including the preceding punctuation.
type writer []byte

func (w *writer) number(name string, v int64) { *w = strconv.AppendInt(append(*w, name...), v, 10) }

func (w *writer) flag(name string, v bool) { *w = strconv.AppendBool(append(*w, name...), v) }

// text appends at most limit bytes of v, whole runes.
func (w *writer) text(name, v string, limit int) {
	*w = quoted(append(*w, name...), registration.Cut(v, limit))
}

// quoted appends a JSON string.
func quoted[T string | []byte](b []byte, v T) []byte {
	for i := range len(v) {
		if c := v[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			b, _ = jsontext.AppendQuote(b, v) // the error only says that something was replaced by U+FFFD
			return b
		}
	}
	return append(append(append(b, '"'), v...), '"') // nearly all texts, in a third of the time
}

// property appends a pair of customDimensions.
func (w *writer) property(name, v string) {
	w.text(name, v, maxProperty)
	*w = append(*w, ',')
}

// time appends a point in time, with microseconds.
func (w *writer) time(t time.Time) {
	*w = t.UTC().AppendFormat(*w, time.RFC3339) // much faster than any other layout
	*w = (*w)[:len(*w)-len("Z")]
	w.digits('.', int64(t.Nanosecond()/1000), 6)
	*w = append(*w, 'Z')
}

func (w *writer) call(c *call) {
	w.text(`,"id":`, c.id, maxName)
	w.text(`,"resultCode":`, c.result, maxName)
	w.duration(`,"duration":"`, c.duration)
	w.flag(`","success":`, c.success)
	w.text(`,"data":"","target":`, c.target, maxName)
	w.text(`,"type":`, c.kind, maxName)
}

// duration appends D.HH:MM:SS.fffffff.
func (w *writer) duration(name string, d time.Duration) {
	w.number(name, int64(d/(24*time.Hour)))
	w.digits('.', int64(d/time.Hour)%24, 2)
	w.digits(':', int64(d/time.Minute)%60, 2)
	w.digits(':', int64(d/time.Second)%60, 2)
	w.digits('.', int64(d/100)%1e7, 7)
}

func (w *writer) digits(before byte, n int64, digits int) {
	*w = append(*w, before)
	for range digits {
		*w = append(*w, '0')
	}
	for i := len(*w) - 1; n > 0; i-- {
		(*w)[i] = byte('0' + n%10)
		n /= 10
	}
}

func (w *writer) fault(f *fault) {
	w.text(`},"data":{"baseType":"ExceptionData","baseData":{"ver":2,"exceptions":[{"id":0,"outerId":0,"typeName":`, f.kind, maxName)
	w.text(`,"message":`, f.text, maxMessage)
	*w = append(*w, `,"hasFullStack":true,"stack":"","parsedStack":[`...)
	before := `{"level":`
	for level, frame := range f.stack {
		w.number(before, int64(level))
		// A function is "path/of/package.function"; package and method are two columns in the portal.
		name := strings.LastIndexByte(frame.Function, '/') + 1
		dot := strings.IndexByte(frame.Function[name:], '.')
		w.text(`,"method":`, frame.Function[name+dot+1:], maxName)
		w.text(`,"assembly":`, frame.Function[:max(name+dot, 0)], maxName)
		w.text(`,"fileName":`, frame.File, maxName)
		w.number(`,"line":`, int64(frame.Line))
		*w = append(*w, '}')
		before = `,{"level":`
	}
	w.number(`]}],"severityLevel":`, int64(contracts.Error))
	*w = append(*w, `,"problemId":""`...)
}

func severity(l slog.Level) contracts.SeverityLevel {
	switch {
	case l < slog.LevelInfo:
		return contracts.Verbose
	case l < slog.LevelWarn:
		return contracts.Information
	case l < slog.LevelError:
		return contracts.Warning
	case l < slog.LevelError+4:
		return contracts.Error
	default:
		return contracts.Critical
	}
}
