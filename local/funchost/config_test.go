package funchost_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"userrelay/local/funchost"
)

// TestInvalidApps shows that mistakes in an app's files are reported with the file's name and a reason.
func TestInvalidApps(t *testing.T) {
	t.Parallel()
	const file = "Bad/function.json: "
	one := func(trigger string) string { return `{"bindings":[` + trigger + `,` + httpOut + `]}` }
	valid := func(members string) string { return one(`{"type":"httpTrigger","name":"req"` + members + `}`) }
	handler := func(name string, value any) func(app) { return func(a app) { a.handler[name] = value } }
	top := func(name string, value any) func(app) { return func(a app) { a.top[name] = value } }
	queues := func(name string, value any) func(app) {
		return top("extensions", map[string]any{"queues": map[string]any{name: value}})
	}
	queue := func(members string) func(app) {
		return func(a app) { a.functions["Bad"] = `{"bindings":[{"type":"queueTrigger","name":"q"` + members + `}]}` }
	}
	bad := func(text string) func(app) { return func(a app) { a.functions["Bad"] = text } }
	for _, tt := range []struct {
		name   string
		change func(app)
		want   string
	}{
		{"version", top("version", "3.0"), `host.json: version want "2.0"`},
		{"executable", handler("description", map[string]any{}), "host.json: customHandler.description.defaultExecutablePath is missing"},
		{"boolean", handler("enableForwardingHttpRequest", "maybe"), "host.json: customHandler.enableForwardingHttpRequest is not a boolean"},
		{"log level", top("logging", map[string]any{"logLevel": map[string]any{"Function": "Loud"}}), "host.json: logging.logLevel.function is not a log level"},
		{
			"dependency tracking", top("logging", map[string]any{"applicationInsights": map[string]any{"enableDependencyTracking": "perhaps"}}),
			"host.json: logging.applicationInsights.enableDependencyTracking is not a boolean",
		},
		{"time span", handler("initializationTimeout", "30s"), "host.json: customHandler.initializationTimeout is not a time span"},
		{"no time", top("functionTimeout", "00:00:00"), "host.json: functionTimeout is not a time span"},
		{"port", handler("port", 70000), "host.json: customHandler.port is not a port"},
		{"routes", handler("http", map[string]any{"routes": []any{map[string]any{"route": "x"}}}), "host.json: customHandler.http.routes is not supported"},
		{"old section", top("httpWorker", map[string]any{"description": map[string]any{"defaultExecutablePath": "x"}}), "host.json: httpWorker is not supported"},
		{"profile", top("configurationProfile", "mcp-custom-handler"), "host.json: configurationProfile is not supported"},
		{"no mode", func(app) {}, "neither enableForwardingHttpRequest nor enableProxyingHttpRequest"},
		{"not JSON", bad(`{"bindings":`), file + "jsontext: unexpected EOF"},
		{"no trigger", bad(`{"bindings":[` + httpOut + `]}`), file + "want one trigger among the bindings, have 0"},
		{"two triggers", bad(one(`{"type":"httpTrigger","name":"a"},{"type":"queueTrigger","name":"b"}`)), file + "want one trigger among the bindings, have 2"},
		{"no type", bad(one(`{"name":"req"}`)), file + `binding "req" has no type`},
		{"binding name", bad(one(`{"type":"httpTrigger","name":"the_req"}`)), file + `binding name "the_req"`},
		{"level", bad(valid(`,"authLevel":"system"`)), file + `authLevel "system" is not one of`},
		{"route parameter", bad(valid(`,"route":"users/{id}"`)), file + `route "users/{id}" has a parameter`},
		{"catch-all", bad(valid(`,"route":"{*rest}"`)), file + `route "{*rest}" has a parameter`},
		{"function name", func(a app) { a.functions["1st"] = valid("") }, "1st/function.json: the folder's name is not a function's name"},
		{"host", func(a app) { a.functions["Host"] = valid("") }, "Host/function.json: the folder's name is not a function's name"},
		{"shared route", bad(valid(`,"route":"REGISTERUSER","methods":["GET","post"]`)), "functions Bad and RegisterUser share a route and a method"},
		{"no functions", func(a app) { clear(a.functions) }, "no */function.json with an HTTP or a queue trigger"},
		{"names of two kinds", func(a app) { a.functions["OPEN"] = drain("") }, "functions Open and OPEN differ only in case"},
		{"batch of none", queues("batchSize", 0), "host.json: extensions.queues.batchSize is not a number from 1 to 32"},
		{"batch too large", queues("batchSize", 33), "host.json: extensions.queues.batchSize is not a number from 1 to 32"},
		{"batch threshold", queues("newBatchThreshold", -1), "host.json: extensions.queues.newBatchThreshold is not a number"},
		{"dequeue count", queues("maxDequeueCount", 0), "host.json: extensions.queues.maxDequeueCount is not a number from 1"},
		{"visibility", queues("visibilityTimeout", "30 s"), "host.json: extensions.queues.visibilityTimeout is not a time span"},
		{"polling", queues("maxPollingInterval", "00:00:00.0999999"), "host.json: extensions.queues.maxPollingInterval is not a time span such as \"00:00:30\", or less than 100ms"},
		{"encoding", queues("messageEncoding", "hex"), "host.json: extensions.queues.messageEncoding is neither base64 nor none"},
		{"no queue", queue(""), file + `queueName "" is not a queue's name`},
		{"queue's name", queue(`,"queueName":"a--b"`), file + `queueName "a--b" is not a queue's name`},
		{"queue's setting", queue(`,"queueName":"%NOTHING%"`), file + `queueName "%NOTHING%" is not a queue's name`},
		{"stream", queue(`,"queueName":"abc","dataType":"stream"`), file + `dataType "stream" is not one of string, binary`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := standard()
			tt.change(a)
			cfg := config(t, funchost.Auto, "")
			cfg.Dir = a.write(t)
			wantError(t, cfg, tt.want)
		})
	}
	t.Run("no host.json", func(t *testing.T) {
		t.Parallel()
		cfg := config(t, funchost.Forward, "")
		cfg.Dir = t.TempDir()
		wantError(t, cfg, "read host.json: ")
	})
	t.Run("host.json is not JSON", func(t *testing.T) {
		t.Parallel()
		cfg := config(t, funchost.Forward, "")
		writeFile(t, filepath.Join(cfg.Dir, "host.json"), "{")
		wantError(t, cfg, "host.json: jsontext: unexpected EOF")
	})
	t.Run("several mistakes", func(t *testing.T) {
		t.Parallel()
		cfg := config(t, funchost.Forward, "")
		cfg.Env = append(cfg.Env, "AzureFunctionsJobHost__version=1", "AzureFunctionsJobHost__customHandler__port=x")
		wantError(t, cfg, "host.json: version")
		wantError(t, cfg, "host.json: customHandler.port")
	})
	t.Run("body limit", func(t *testing.T) {
		t.Parallel()
		cfg := config(t, funchost.Forward, "")
		cfg.Env = append(cfg.Env, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT=1 MB")
		wantError(t, cfg, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: want a number of bytes")
	})
	t.Run("taken address", func(t *testing.T) {
		t.Parallel()
		cfg := config(t, funchost.Forward, "")
		cfg.Addr = strings.TrimPrefix(start(t, cfg).URL(), "http://")
		wantError(t, cfg, "listen for clients: ")
	})
}

func wantError(t *testing.T, cfg funchost.Config, want string) {
	t.Helper()
	cfg.Console = os.Stderr
	host, err := funchost.Start(t.Context(), cfg)
	if err == nil {
		_ = host.Close()
		t.Fatalf("started, want the error %q", want)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want %q", err, want)
	}
}
