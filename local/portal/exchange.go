package portal

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// Exchange is a request of a caller and what it was answered, as the Functions host saw them. Keys are left out of it.
type Exchange struct {
	Time      string   `json:"time"` // RFC 3339
	TookMs    float64  `json:"tookMs"`
	Method    string   `json:"method"`
	Path      string   `json:"path"`  // as it came
	Query     string   `json:"query"` // without the function's key
	Headers   []Header `json:"headers"`
	HasKey    bool     `json:"hasKey"` // it shows a key, right or wrong
	Body      string   `json:"body"`   // readable, and cut where it is long
	BodyBytes int64    `json:"bodyBytes"`

	Status     int    `json:"status"`
	Answer     string `json:"answer"` // likewise
	AnswerType string `json:"answerType,omitempty"`
	Replayed   bool   `json:"replayed,omitempty"` // what was stored before was answered again

	Operation  string `json:"operation,omitempty"`
	Invocation string `json:"invocation,omitempty"`

	at time.Time
}

// Saw tells the page of a request. Those that were stored are told of by telemetry: only others are kept.
func (p *Portal) Saw(x Exchange, at time.Time) {
	x.at, x.Time = at, at.UTC().Format(time.RFC3339Nano)
	x.Body, x.Answer = readable(x.Body, x.BodyBytes), readable(x.Answer, 0)
	if x.Status < 300 && !x.Replayed && !x.ignored() {
		return
	}
	p.registrations.saw(&x)
	p.feed.itemsChanged()
}

// readable makes text of bytes that may be anything.
func readable(s string, whole int64) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if whole > int64(len(s)) {
		s += "…"
	}
	return s
}

// ignored says that the function answered that there is nothing to store.
func (x *Exchange) ignored() bool {
	return x.Status == 200 && strings.HasPrefix(x.Answer, `{"ignored":`)
}

// detail is what the answer says in a sentence; "" where it says nothing.
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
