package portal

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// Exchange is a caller's request and its answer, as the Functions host saw them, without keys.
type Exchange struct {
	Time      string   `json:"time"` // RFC 3339
	TookMs    float64  `json:"tookMs"`
	Method    string   `json:"method"`
	Path      string   `json:"path"`  // as it came
	Query     string   `json:"query"` // without the function's key
	Headers   []Header `json:"headers"`
	HasKey    bool     `json:"hasKey"` // it has a key, valid or not
	Body      string   `json:"body"`   // readable, and cut where it is long
	BodyBytes int64    `json:"bodyBytes"`

	Status     int    `json:"status"`
	Answer     string `json:"answer"` // likewise
	AnswerType string `json:"answerType,omitempty"`
	Replayed   bool   `json:"replayed,omitempty"` // an earlier answer was repeated

	Operation  string `json:"operation,omitempty"`
	Invocation string `json:"invocation,omitempty"`

	at time.Time
}

// Saw passes a request to the page. It keeps only requests that were not stored, because telemetry reports the others.
func (p *Portal) Saw(x Exchange, at time.Time) {
	x.at, x.Time = at, at.UTC().Format(time.RFC3339Nano)
	x.Body, x.Answer = readable(x.Body, x.BodyBytes), readable(x.Answer, 0)
	if x.Status < 300 && !x.Replayed && !x.ignored() {
		return
	}
	p.registrations.saw(&x)
	p.feed.itemsChanged()
}

// readable converts any bytes to readable text.
func readable(s string, whole int64) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if whole > int64(len(s)) {
		s += "…"
	}
	return s
}

// ignored says that the function answered that it ignored the event.
func (x *Exchange) ignored() bool {
	return x.Status == 200 && strings.HasPrefix(x.Answer, `{"ignored":`)
}

// detail returns the answer's explanation, or "".
func (x *Exchange) detail() string {
	var problem struct {
		Detail  string `json:"detail"`
		Ignored string `json:"ignored"`
	}
	if json.Unmarshal([]byte(x.Answer), &problem) != nil {
		return ""
	}
	return or(problem.Detail, problem.Ignored)
}
