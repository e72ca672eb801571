package portal

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Item is a telemetry item: the fields that the search and the page need, and the original.
type Item struct {
	Name       string            `json:"name"`
	Time       string            `json:"time"`
	Tags       map[string]string `json:"tags"`
	Properties map[string]string `json:"properties"`
	Raw        jsontext.Value    `json:"raw"` // the envelope as it came

	Number     int64    `json:"number"`             // counts the items in the order of their arrival
	Kind       string   `json:"kind"`               // trace, dependency, exception, …; the base type of others
	Severity   string   `json:"severity,omitempty"` // Verbose, Information, Warning, Error, Critical
	Message    string   `json:"message"`            // of a trace or an exception; the name of other items
	Success    *bool    `json:"success,omitempty"`
	ResultCode string   `json:"resultCode,omitempty"`
	DurationMs *float64 `json:"durationMs,omitempty"`
	ID         string   `json:"id,omitempty"` // the span's, of a dependency or a request
	Type       string   `json:"type,omitempty"`
	Target     string   `json:"target,omitempty"`
	Value      *float64 `json:"value,omitempty"` // of a metric
	Count      int      `json:"count,omitempty"` // likewise: the number of measurements in the sum

	note  bool // it belongs to no registration
	at    time.Time
	words string // all text of the item, in lower case
}

// Application Insights accepts events of at most this many bytes (azure-docs, application-insights-limits.md).
const maxItem = 64 << 10

// envelope is the part of the schema that this package reads (Monitor exporters API, v2.1).
type envelope struct {
	Name string            `json:"name"`
	Time string            `json:"time"`
	Tags map[string]string `json:"tags"`
	Data struct {
		BaseType string   `json:"baseType"`
		BaseData baseData `json:"baseData"`
	} `json:"data"`
}

type baseData struct {
	Name          string            `json:"name"`
	Message       string            `json:"message"`
	SeverityLevel any               `json:"severityLevel"` // a number from the SDKs, a name in the API's description
	ID            string            `json:"id"`
	Type          string            `json:"type"`
	Target        string            `json:"target"`
	ResultCode    string            `json:"resultCode"`
	ResponseCode  string            `json:"responseCode"`
	Duration      string            `json:"duration"`
	Success       *bool             `json:"success"`
	Exceptions    []exception       `json:"exceptions"`
	Properties    map[string]string `json:"properties"`
	Metrics       []measure         `json:"metrics"`
}

type measure struct {
	Name  string   `json:"name"`
	Value *float64 `json:"value"`
	Count int      `json:"count"`
}

type exception struct {
	TypeName string `json:"typeName"`
	Message  string `json:"message"`
}

func parseItem(raw jsontext.Value) (*Item, error) {
	if len(raw) > maxItem {
		return nil, fmt.Errorf("larger than %d bytes", maxItem)
	}
	var e envelope
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, errors.New("not an envelope")
	}
	at, err := time.Parse(time.RFC3339Nano, e.Time)
	if err != nil || e.Name == "" {
		return nil, errors.New("not an envelope: name and time are needed")
	}
	base := &e.Data.BaseData
	item := &Item{
		Name: e.Name, Time: e.Time, Tags: e.Tags, Properties: base.Properties, Raw: bytes.Clone(raw),
		Kind: kindOf(e.Data.BaseType), Severity: severityOf(base.SeverityLevel), Message: base.Message,
		Success: base.Success, ResultCode: base.ResultCode, DurationMs: milliseconds(base.Duration),
		ID: base.ID, Type: base.Type, Target: base.Target,
		at: at,
	}
	if item.ResultCode == "" {
		item.ResultCode = base.ResponseCode
	}
	if item.Message == "" {
		item.Message = base.Name
	}
	if len(base.Exceptions) > 0 {
		item.Type, item.Message = base.Exceptions[0].TypeName, base.Exceptions[0].Message
	}
	if len(base.Metrics) > 0 { // the schema has a list, and the endpoint uses the first
		item.Message, item.Value, item.Count = base.Metrics[0].Name, base.Metrics[0].Value, base.Metrics[0].Count
	}
	item.words = words(raw)
	return item, nil
}

// words returns all strings in a JSON value, unescaped and in lower case.
func words(v jsontext.Value) string {
	var all strings.Builder
	dec := jsontext.NewDecoder(bytes.NewReader(v))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return strings.ToLower(all.String())
		}
		if token.Kind() == '"' {
			all.WriteString(token.String())
			all.WriteByte('\n')
		}
	}
}

func kindOf(baseType string) string {
	switch baseType {
	case "MessageData":
		return "trace"
	case "RemoteDependencyData":
		return "dependency"
	case "ExceptionData":
		return "exception"
	case "EventData":
		return "event"
	case "RequestData":
		return "request"
	case "MetricData":
		return "metric"
	default:
		return baseType
	}
}

func severityOf(level any) string {
	switch level := level.(type) {
	case string:
		return level
	case float64:
		names := []string{"Verbose", "Information", "Warning", "Error", "Critical"}
		if i := int(level); i >= 0 && i < len(names) {
			return names[i]
		}
	}
	return ""
}

// milliseconds reads a duration in the schema's format, D.HH:MM:SS.fffffff with optional days. It returns nil for
// anything else.
func milliseconds(s string) *float64 {
	days, clock, found := strings.Cut(s, ".")
	if !found || !strings.Contains(clock, ":") {
		days, clock = "0", s
	}
	total, err := strconv.ParseFloat(days, 64)
	parts := strings.Split(clock, ":")
	if err != nil || len(parts) != 3 {
		return nil
	}
	for i, base := range []float64{24, 60, 60} {
		n, err := strconv.ParseFloat(parts[i], 64)
		if err != nil {
			return nil
		}
		total = total*base + n
	}
	total = math.Round(total*1e7) / 1e4 // the schema's resolution is 100 ns
	return &total
}
