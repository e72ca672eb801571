package funchost

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// rows are the items that the host itself sends to Application Insights for each run of a function, in addition to the
// handler's.
type rows struct {
	levels levels
	calls  bool // enableDependencyTracking: a row for each call to the handler, with its whole URL
	key    string
	tags   map[string]string
	sender *rowSender // nil: rows are not sent
}

// insightsOptions are the options of logging.applicationInsights in host.json that the stand-in supports.
type insightsOptions struct {
	calls bool
}

func (v *values) insightsOptions() insightsOptions {
	const section = "logging:applicationInsights:"
	for _, name := range []string{"enablePerformanceCountersCollection", "enableLiveMetrics", "enableLiveMetricsFilters"} {
		v.boolean(section+name, true) // must be one all the same
	}
	return insightsOptions{calls: v.boolean(section+"enableDependencyTracking", true)}
}

// newRows reads the endpoint of rows. The handler uses the same connection string; with an invalid one there are no
// rows.
func newRows(a *app, wanted bool) *rows {
	r := &rows{levels: a.file.levels, calls: a.file.insights.calls}
	if !wanted {
		return r
	}
	connection, _ := a.env.lookup("APPLICATIONINSIGHTS_CONNECTION_STRING")
	parts := map[string]string{}
	for part := range strings.SplitSeq(connection, ";") {
		name, value, _ := strings.Cut(part, "=")
		parts[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	endpoint := parts["ingestionendpoint"]
	if r.key = parts["instrumentationkey"]; r.key == "" || endpoint == "" {
		return r
	}
	instance, _ := os.Hostname()
	role, _ := a.env.lookup("WEBSITE_SITE_NAME")
	if role == "" {
		role = "funchost"
	}
	r.tags = map[string]string{"ai.cloud.roleName": role, "ai.cloud.roleInstance": instance, "ai.internal.sdkVersion": "azurefunctions:standin"}
	r.sender = newRowSender(strings.TrimSuffix(endpoint, "/") + "/v2.1/track")
	return r
}

// run sends rows until ctx ends, and then the remaining ones.
func (r *rows) run(ctx context.Context) {
	if r.sender != nil {
		r.sender.run(ctx)
	}
}

// envelope is one row (Monitor exporters API, v2.1).
type envelope struct {
	Name string            `json:"name"`
	Time string            `json:"time"`
	Key  string            `json:"iKey"`
	Tags map[string]string `json:"tags"`
	Data data              `json:"data"`
}

type data struct {
	Type string `json:"baseType"`
	Base any    `json:"baseData"`
}

type requestRow struct {
	Ver        int               `json:"ver"`
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Duration   string            `json:"duration"`
	Success    bool              `json:"success"`
	Code       string            `json:"responseCode"`
	URL        string            `json:"url,omitempty"`
	Properties map[string]string `json:"properties"`
}

type dependencyRow struct {
	Ver        int               `json:"ver"`
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Duration   string            `json:"duration"`
	Success    bool              `json:"success"`
	Code       string            `json:"resultCode"`
	Data       string            `json:"data"`
	Type       string            `json:"type"`
	Target     string            `json:"target"`
	Properties map[string]string `json:"properties"`
}

type messageRow struct {
	Ver        int               `json:"ver"`
	Message    string            `json:"message"`
	Severity   int               `json:"severityLevel"`
	Properties map[string]string `json:"properties"`
}

type exceptionRow struct {
	Ver        int               `json:"ver"`
	Exceptions []exceptionPart   `json:"exceptions"`
	Severity   int               `json:"severityLevel"`
	Properties map[string]string `json:"properties"`
}

type exceptionPart struct {
	Type    string `json:"typeName"`
	Message string `json:"message"`
}

// severity returns the severity level of the schema.
func (l level) severity() int { return int(l) + 1 }

func (l level) String() string { return []string{"Information", "Warning", "Error"}[l] }

// line reports a line that belongs to no run, from the handler.
func (r *rows) line(category string, at level, text string) {
	if r.sender != nil && r.levels.pass(category, at) {
		r.send(time.Now(), nil, "Message", messageRow{2, text, at.severity(), properties(nil, category, at)})
	}
}

// message reports a line that belongs to a run.
func (r *rows) message(op *operation, at level, text string) {
	if category := categoryOf(op.function); r.sender != nil && r.levels.pass(category, at) {
		r.send(time.Now(), op, "Message", messageRow{2, text, at.severity(), properties(op, category, at)})
	}
}

// ended reports the end of a run: its request and, after a failure, the exception twice.
func (r *rows) ended(op *operation, err error) {
	if r.sender == nil {
		return
	}
	at, code := information, strconv.Itoa(op.status)
	if err != nil {
		at = failure
		if op.method != "" {
			code = "500"
		}
		for _, category := range []string{categoryOf(op.function), categoryResults} {
			if r.levels.pass(category, at) {
				r.send(time.Now(), op, "Exception", exceptionRow{2, []exceptionPart{{"Microsoft.Azure.WebJobs.Host.FunctionInvocationException", err.Error()}}, at.severity(), properties(op, category, at)})
			}
		}
	}
	if !r.levels.pass(categoryResults, at) {
		return
	}
	took := time.Since(op.start)
	props := properties(op, categoryResults, at)
	props["FullName"], props["TriggerReason"] = "Functions."+op.function, op.trigger
	props["FunctionExecutionTimeMs"] = strconv.FormatFloat(float64(took.Microseconds())/1e3, 'f', -1, 64)
	if op.method != "" {
		props["HttpMethod"], props["HttpPath"] = op.method, op.path
	} else {
		code = "0"
	}
	r.send(op.start, op, "Request", requestRow{2, op.span, op.function, timespan(took), err == nil, code, op.url, props})
}

// called reports a call to the handler. The URL includes the query, and so the function's key if the caller put it
// there.
func (r *rows) called(op *operation, req *http.Request, start time.Time, status int) {
	if r.sender == nil || !r.calls || op.given {
		return
	}
	r.send(start, op, "RemoteDependency", dependencyRow{
		2, op.call, req.Method + " " + req.URL.Path, timespan(time.Since(start)), status != 0 && status < http.StatusBadRequest,
		strconv.Itoa(status), req.URL.String(), "HTTP", req.URL.Host,
		map[string]string{"InvocationId": op.id},
	})
}

func properties(op *operation, category string, at level) map[string]string {
	p := map[string]string{"Category": category, "LogLevel": at.String()}
	if op != nil {
		p["InvocationId"] = op.id
	}
	return p
}

func (r *rows) send(at time.Time, op *operation, kind string, base any) {
	tags := maps.Clone(r.tags)
	if op != nil {
		tags["ai.operation.id"], tags["ai.operation.name"] = op.trace, op.function
		switch {
		case kind != "Request":
			tags["ai.operation.parentId"] = op.span
		case op.parent != "":
			tags["ai.operation.parentId"] = op.parent
		}
	}
	line, err := json.Marshal(envelope{
		"Microsoft.ApplicationInsights." + strings.ReplaceAll(r.key, "-", "") + "." + kind,
		at.UTC().Format("2006-01-02T15:04:05.0000000Z"), r.key, tags,
		data{kind + "Data", base},
	}, json.Deterministic(true))
	if err == nil { // rows that cannot be encoded are dropped
		r.sender.put(line)
	}
}

// timespan writes a duration in the format of the schema.
func timespan(d time.Duration) string {
	day := 24 * time.Hour
	return fmt.Sprintf("%d.%02d:%02d:%02d.%07d", d/day, d%day/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second, d%time.Second/100)
}
