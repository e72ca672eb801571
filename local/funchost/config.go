package funchost

import (
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Mode says how HTTP requests reach the handler.
type Mode int

const (
	// Auto follows host.json: enableProxyingHttpRequest comes before enableForwardingHttpRequest, as in hosts since
	// 2025.
	Auto Mode = iota
	// Forward builds a new request and buffers the answer (enableForwardingHttpRequest).
	Forward
	// Proxy streams in both directions (enableProxyingHttpRequest).
	Proxy
)

// Keys give access to functions. An empty key gives none.
type Keys struct {
	Functions map[string]string // function name, in any case, to its key
	Host      string            // for every function of level "function"
	Master    string            // for every function
	System    string            // for no function; for tests that show that
}

// Config is the configuration of a host.
type Config struct {
	// Dir is the app's folder, which holds host.json and */function.json.
	Dir string
	// Addr is where clients reach the host, such as "127.0.0.1:7071". Port 0 takes a free one. Empty is "127.0.0.1:0".
	Addr string
	// Env is the handler's whole environment (in the form of os.Environ) except the five variables that the host adds.
	// The host also reads its own settings from it, including the connection strings of queues.
	//
	// With FUNCTIONS_TARGET_GROUP the host is like an instance of Flex Consumption: "http" runs the HTTP functions and
	// listens to no queue, the name of a function with a queue runs only that function. So an app needs one host for
	// each group, each with its own handler.
	Env []string
	// Mode says how HTTP requests reach the handler.
	Mode Mode
	// Keys are checked unless NoAuth is set.
	Keys Keys
	// NoAuth lets every request pass, as core tools do.
	NoAuth bool
	// Insights makes the host report to Application Insights: requests without a traceparent and messages get one (flags
	// 00), answers have a Request-Context header, and the endpoint of APPLICATIONINSIGHTS_CONNECTION_STRING in Env, if there
	// is one, gets the rows that host.json asks for.
	Insights bool
	// ConsoleRows also sends the handler's console lines to Application Insights, as the real host does.
	ConsoleRows bool
	// FunctionTimeout is the time limit of an invocation. 0 means host.json's functionTimeout, or 30 minutes without
	// one.
	FunctionTimeout time.Duration
	// Console gets the lines of host and handler, as func prints them. Nil discards them.
	Console io.Writer
	// Brief omits the first lines on the console: what the stand-in does not do, and the functions.
	Brief bool
	// Observe is called with each answered request, whether or not it was for a function. It may be nil.
	Observe func(Exchange)
	// Color colours warnings and errors, as func does on a terminal.
	Color bool
}

const (
	defaultAddr = "127.0.0.1:0"

	// defaultFunctionTimeout is the default of every plan except Consumption.
	defaultFunctionTimeout = 30 * time.Minute

	// defaultBodyLimit is Kestrel's MaxRequestBodySize as the host sets it, in bytes.
	defaultBodyLimit = 100 << 20
)

// app is a function app, described by its files and settings.
type app struct {
	dir  string // absolute
	env  environment
	file hostFile
	functions

	proxying   bool
	redirects  bool          // invocation mode follows them
	timeout    time.Duration // 0: none
	bodyLimit  int64
	noHomepage bool
	group      string // FUNCTIONS_TARGET_GROUP: the only functions that this instance runs; "": all
}

// httpGroup is the group of all HTTP functions. Each function with a queue is a separate group.
const httpGroup = "http"

// inGroup says whether the instance runs the functions of a group.
func (a *app) inGroup(group string) bool { return a.group == "" || strings.EqualFold(a.group, group) }

// readApp reads the app that cfg names.
func readApp(cfg Config) (*app, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the app's folder: %w", err)
	}
	a := &app{dir: dir, env: cfg.Env, timeout: cfg.FunctionTimeout}
	if a.file, err = readHostFile(dir, a.env); err != nil {
		return nil, err
	}
	if a.functions, err = readFunctions(dir, a.file.routePrefix, a.env); err != nil {
		return nil, err
	}
	if a.timeout == 0 {
		a.timeout = a.file.functionTimeout
	}
	if a.group, _ = a.env.lookup("FUNCTIONS_TARGET_GROUP"); !a.inGroup(httpGroup) {
		a.http = nil // the platform sends requests to others
	}
	switch {
	case cfg.Mode == Proxy, cfg.Mode == Auto && a.file.proxying:
		a.proxying = true
	case cfg.Mode == Forward, a.file.forwarding, len(a.http) == 0:
	default:
		return nil, fmt.Errorf("%s: customHandler has neither enableForwardingHttpRequest nor enableProxyingHttpRequest, "+
			"and the stand-in has no invocation mode for HTTP functions", hostFileName)
	}
	a.redirects = cfg.Mode != Forward && !a.file.forwarding
	if a.bodyLimit, err = bodyLimit(a.env); err != nil {
		return nil, err
	}
	a.noHomepage = a.env.isTrue("AzureWebJobsDisableHomepage")
	return a, nil
}

// bodyLimit returns the largest size of a request's body, in bytes.
func bodyLimit(env environment) (int64, error) {
	const name = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
	text, ok := env.lookup(name)
	if !ok {
		return defaultBodyLimit, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s: want a number of bytes", name)
	}
	return n, nil
}

// environment is a list of NAME=VALUE. The last entry of a name counts, as in os/exec.
type environment []string

func (e environment) lookup(name string) (value string, ok bool) {
	for _, entry := range e {
		n, v, found := strings.Cut(entry, "=")
		if found && (n == name || runtime.GOOS == "windows" && strings.EqualFold(n, name)) {
			value, ok = v, true
		}
	}
	return value, ok
}

// isTrue says whether the setting is "true" or "1". As in the host, the case of the name does not matter.
func (e environment) isTrue(name string) bool {
	on := false
	for _, entry := range e {
		if n, v, _ := strings.Cut(entry, "="); strings.EqualFold(n, name) {
			on = strings.EqualFold(v, "true") || v == "1"
		}
	}
	return on
}
