package funchost_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/local/funchost"
	"userrelay/test/wait"
)

// row is an item that the host sent to Application Insights.
type row struct {
	Name string            `json:"name"`
	Key  string            `json:"iKey"`
	Tags map[string]string `json:"tags"`
	Data struct {
		Type string `json:"baseType"`
		Base struct {
			ID         string            `json:"id"`
			Name       string            `json:"name"`
			Message    string            `json:"message"`
			Severity   int               `json:"severityLevel"`
			Success    bool              `json:"success"`
			Response   string            `json:"responseCode"`
			Result     string            `json:"resultCode"`
			URL        string            `json:"url"`
			Data       string            `json:"data"`
			Target     string            `json:"target"`
			Duration   string            `json:"duration"`
			Properties map[string]string `json:"properties"`
		} `json:"baseData"`
	} `json:"data"`
}

// short returns a short description of the row.
func (r row) short() string {
	b := r.Data.Base
	switch r.Data.Type {
	case "MessageData":
		return strings.TrimSpace(regexp.MustCompile(`[ (].*`).ReplaceAllString(b.Message, "")) + " " + b.Properties["LogLevel"]
	case "RequestData":
		return "request " + b.Name + " " + b.Response
	case "RemoteDependencyData":
		return "call " + b.Name + " " + b.Result
	default:
		return r.Data.Type
	}
}

// ingestion is an endpoint that keeps its items.
type ingestion struct{ recorder }

func startIngestion(t *testing.T) (*ingestion, string) {
	t.Helper()
	in := &ingestion{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2.1/track" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = in.Write(body) // all at once
	}))
	t.Cleanup(server.Close)
	return in, "APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=1-2;IngestionEndpoint=" + server.URL + "/"
}

func (in *ingestion) rows(t *testing.T) (rows []row) {
	t.Helper()
	for line := range strings.Lines(in.String()) {
		var r row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		rows = append(rows, r)
	}
	return rows
}

// logging is the section of an app's host.json.
func logging(levels, insights map[string]any) app {
	a := standard()
	a.top["logging"] = map[string]any{"logLevel": levels, "applicationInsights": insights}
	return a
}

// quiet is the section of the product's host.json.
func quiet() app {
	return logging(map[string]any{"default": "Warning", "Function": "Warning", "Host.Results": "Information", "Host.Function.Console": "Information"},
		map[string]any{"enableDependencyTracking": false, "enablePerformanceCountersCollection": false, "enableLiveMetricsFilters": true})
}

// TestRows checks which rows the host writes for several versions of host.json.
func TestRows(t *testing.T) {
	t.Parallel()
	off := map[string]any{"enableDependencyTracking": false}
	for _, tt := range []struct {
		name         string
		app          app
		status       string
		want, failed []string
	}{
		{
			"nothing said", standard(), "200",
			[]string{"Executed Information", "Executing Information", "call POST /api/RegisterUser 200", "request RegisterUser 200"},
			[]string{"ExceptionData", "ExceptionData", "Executed Error", "Executing Information", "call POST /api/RegisterUser 0", "request RegisterUser 500"},
		},
		{
			"no calls", logging(nil, off), "503",
			[]string{"Executed Information", "Executing Information", "request RegisterUser 503"},
			[]string{"ExceptionData", "ExceptionData", "Executed Error", "Executing Information", "request RegisterUser 500"},
		},
		{
			"as the product", quiet(), "200",
			[]string{"request RegisterUser 200"},
			[]string{"ExceptionData", "ExceptionData", "Executed Error", "request RegisterUser 500"},
		},
		{
			"one function", logging(map[string]any{"Function.RegisterUser": "None", "Host": "Error"}, off), "200",
			nil,
			[]string{"ExceptionData", "request RegisterUser 500"},
		},
	} {
		for _, mode := range modes() {
			t.Run(tt.name+", "+mode.name, func(t *testing.T) {
				t.Parallel()
				for how, want := range map[string][]string{"status": tt.want, "drop": tt.failed} {
					in, setting := startIngestion(t)
					cfg := config(t, mode.mode, "")
					cfg.Dir, cfg.Insights, cfg.Env = tt.app.write(t), true, append(cfg.Env, setting)
					r := start(t, cfg)
					r.call(t, "POST", "/api/RegisterUser", "x").wantEmpty(t, http.StatusUnauthorized) // no row
					r.call(t, "POST", "/api/RegisterUser?code="+functionKey, "x", tell(how, map[string]string{"status": tt.status, "drop": "9"}[how], "stdout", "a line"))
					if err := r.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
					var got []string
					for _, row := range in.rows(t) {
						got = append(got, row.short())
					}
					slices.Sort(got)
					if d := cmp.Diff(want, got); d != "" {
						t.Errorf("%s: rows (-want +got)\n%s", how, d)
					}
				}
			})
		}
	}
}

// TestRowsHoldTheKey shows that the row of a call has the whole URL with the function's key, and that with the
// product's host.json no row has it.
func TestRowsHoldTheKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		app  app
		held bool
	}{"calls are told": {standard(), true}, "as the product": {quiet(), false}} {
		for _, mode := range modes() {
			t.Run(name+", "+mode.name, func(t *testing.T) {
				t.Parallel()
				in, setting := startIngestion(t)
				cfg := config(t, mode.mode, "")
				cfg.Dir, cfg.Insights, cfg.ConsoleRows, cfg.Env = c.app.write(t), true, true, append(cfg.Env, setting)
				r := start(t, cfg)
				for _, does := range []string{tell("status", "200"), tell("status", "500"), tell("drop", "9")} {
					r.call(t, "POST", "/api/RegisterUser?code="+functionKey, "x", does, "X-Functions-Key: "+functionKey)
				}
				if err := r.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				if text := in.String(); strings.Contains(text, functionKey) != c.held || !strings.Contains(text, "RequestData") {
					t.Errorf("the key is in what was sent: %v, want %v:\n%s", !c.held, c.held, text)
				}
			})
		}
	}
}

// TestRowsBelongTogether checks how the host's rows and the handler's items are connected.
func TestRowsBelongTogether(t *testing.T) {
	t.Parallel()
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	in, setting := startIngestion(t)
	cfg := config(t, funchost.Forward, "")
	cfg.Insights, cfg.Env = true, append(cfg.Env, setting, "WEBSITE_SITE_NAME=my-app")
	r := start(t, cfg)
	own := r.call(t, "GET", open+"?a=b", "").seen(t).Header
	clients := r.call(t, "GET", open, "", "Traceparent: 00-"+trace+"-"+span+"-01").seen(t).Header
	if err := r.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	byRun := map[string]map[string]row{}
	for _, one := range in.rows(t) {
		id := one.Data.Base.Properties["InvocationId"]
		if byRun[id] == nil {
			byRun[id] = map[string]row{}
		}
		byRun[id][strings.Fields(one.short())[0]] = one
		if one.Tags["ai.cloud.roleName"] != "my-app" || one.Tags["ai.operation.name"] != "Open" || one.Key != "1-2" || !strings.HasPrefix(one.Name, "Microsoft.ApplicationInsights.12.") {
			t.Errorf("%+v", one)
		}
	}
	first := byRun[own.Get("X-Azure-Functions-Invocationid")]
	request, call := first["request"], first["call"]
	for name, row := range first {
		if row.Tags["ai.operation.id"] != request.Tags["ai.operation.id"] || name != "request" && row.Tags["ai.operation.parentId"] != request.Data.Base.ID {
			t.Errorf("%s does not belong to the request: %+v", name, row)
		}
	}
	if got, want := own.Get("Traceparent"), "00-"+request.Tags["ai.operation.id"]+"-"+call.Data.Base.ID+"-00"; got != want {
		t.Errorf("the handler got %s, want the call's %s", got, want)
	}
	wantProperties := map[string]string{
		"Category": "Host.Results", "FullName": "Functions.Open", "FunctionExecutionTimeMs": request.Data.Base.Properties["FunctionExecutionTimeMs"],
		"HttpMethod": "GET", "HttpPath": open, "InvocationId": own.Get("X-Azure-Functions-Invocationid"), "LogLevel": "Information",
		"TriggerReason": "This function was programmatically called via the host APIs.",
	}
	if d := cmp.Diff(wantProperties, request.Data.Base.Properties); d != "" || request.Data.Base.URL != r.URL()+open {
		t.Errorf("the request's URL is %s, its properties (-want +got)\n%s", request.Data.Base.URL, d)
	}
	if request.Tags["ai.operation.parentId"] != "" || !regexp.MustCompile(`^0\.00:00:\d\d\.\d{7}$`).MatchString(request.Data.Base.Duration) {
		t.Errorf("%+v", request)
	}
	second := byRun[clients.Get("X-Azure-Functions-Invocationid")]
	if tags := second["request"].Tags; tags["ai.operation.id"] != trace || tags["ai.operation.parentId"] != span {
		t.Errorf("the request does not belong to its client's trace: %v", tags)
	}
	if _, ok := second["call"]; ok || clients.Get("Traceparent") != "00-"+trace+"-"+span+"-01" {
		t.Errorf("the client's traceparent: the handler got %s, the call is told: %v", clients.Get("Traceparent"), ok)
	}
}

// TestRowsOfQueues checks the rows for a message.
func TestRowsOfQueues(t *testing.T) {
	t.Parallel()
	in, setting := startIngestion(t)
	a := queueApp(nil)
	a.top["logging"] = quiet().top["logging"]
	cfg, q := queueConfig(t, a, "")
	cfg.Insights, cfg.Env = true, append(cfg.Env, setting)
	q.rig = start(t, cfg)
	q.put(t, "x=y")
	call := q.calls(t, 1)[0]
	q.put(t, "status=500")
	wait.For(t, "the failure's row", func() bool { return strings.Contains(in.String(), "FunctionInvocationException") })
	if err := q.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	found := map[string]int{}
	for _, row := range in.rows(t) {
		if row.Data.Base.Properties["InvocationId"] == call.Header.Get("X-Azure-Functions-Invocationid") {
			if want := "00-" + row.Tags["ai.operation.id"] + "-" + row.Data.Base.ID + "-00"; call.Header.Get("Traceparent") != want {
				t.Errorf("the handler got %s, want the request's %s", call.Header.Get("Traceparent"), want)
			}
		}
		found[row.short()]++
	}
	if found["request Drain 0"] < 2 || found["Executing Information"] > 0 || found["Executed Error"] == 0 {
		t.Errorf("rows: %v", slices.Sorted(maps.Keys(found)))
	}
}

// TestConsoleRows shows that the handler's lines are sent if configured, by level.
func TestConsoleRows(t *testing.T) {
	t.Parallel()
	in, setting := startIngestion(t)
	cfg := config(t, funchost.Forward, "")
	cfg.Dir = logging(map[string]any{"Host.Function.Console": "Warning"}, map[string]any{"enableDependencyTracking": "false"}).write(t)
	cfg.Insights, cfg.ConsoleRows, cfg.Env = true, true, append(cfg.Env, setting)
	r := start(t, cfg)
	r.call(t, "GET", open, "", tell("stdout", "unwanted", "stderr", "wanted", "stderr", "wanted, a warning")).seen(t)
	wait.For(t, "both lines", func() bool { return r.console.count("wanted") == 2 })
	if err := r.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	severities := map[string]int{}
	for _, row := range in.rows(t) {
		if row.Data.Base.Properties["Category"] == "Host.Function.Console" {
			severities[row.Data.Base.Message] = row.Data.Base.Severity
		}
	}
	if d := cmp.Diff(map[string]int{"wanted": 3, "wanted, a warning": 2}, severities); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestRowsWithoutEndpoint shows that a missing endpoint delays nothing.
func TestRowsWithoutEndpoint(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{
		"", "InstrumentationKey=1", "IngestionEndpoint=http://127.0.0.1:1/", "InstrumentationKey=1;IngestionEndpoint=http://127.0.0.1:1/",
		"InstrumentationKey=1;IngestionEndpoint=:\x7f", "nonsense",
	} {
		cfg := config(t, funchost.Forward, "")
		cfg.Insights, cfg.Env = true, append(cfg.Env, "APPLICATIONINSIGHTS_CONNECTION_STRING="+setting)
		r := start(t, cfg)
		r.call(t, "GET", open, "").seen(t)
		if err := r.Shutdown(t.Context()); err != nil {
			t.Errorf("%q: %v", setting, err)
		}
	}
}
