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
	// Auto follows host.json: enableProxyingHttpRequest is looked at before enableForwardingHttpRequest,
	// as hosts from 2025 on do.
	Auto Mode = iota
	// Forward builds the request anew and buffers the answer (enableForwardingHttpRequest).
	Forward
	// Proxy streams both ways (enableProxyingHttpRequest).
	Proxy
)

// Keys are the keys that open functions. An empty key opens nothing.
type Keys struct {
	Functions map[string]string // function name, in any case, to its key
	Host      string            // opens every function of level "function"
	Master    string            // opens every function
	System    string            // opens no function; here so that tests can show it
}

// Config says which app to host, and how.
type Config struct {
	// Dir is the app's folder, which holds host.json and */function.json.
	Dir string
	// Addr is where clients reach the host, such as "127.0.0.1:7071". Port 0 takes a free one. Empty is "127.0.0.1:0".
	Addr string
	// Env is the handler's whole environment (in the form of os.Environ) but for the five variables
	// that the host adds. The host reads its own settings from it too, with the connection strings of queues.
	//
	// With FUNCTIONS_TARGET_GROUP the host is an instance as Flex Consumption has them: "http" runs the HTTP functions and
	// listens to no queue, the name of a function with a queue runs that one only. So an app is as many hosts as it has
	// groups, each with a handler of its own.
	Env []string
	// Mode is the way of HTTP requests.
	Mode Mode
	// Keys are checked unless NoAuth is set.
	Keys Keys
	// NoAuth lets every request pass, as core tools do.
	NoAuth bool
	// Insights makes the host report to Application Insights: requests without a traceparent and messages get one (flags
	// 00), answers have a Request-Context header, and the endpoint of APPLICATIONINSIGHTS_CONNECTION_STRING in Env, if there
	// is one, gets the rows that host.json asks for.
	Insights bool
	// ConsoleRows tells Application Insights of the handler's console lines, too, as the real host does.
	ConsoleRows bool
	// FunctionTimeout is the time limit of one invocation. 0 takes host.json's functionTimeout, else 30 minutes.
	FunctionTimeout time.Duration
	// Console gets the lines of host and handler, as func prints them. Nil discards them.
	Console io.Writer
	// Brief leaves out what the console says first: what the stand-in leaves out, and the functions.
	Brief bool
	// Observe gets each request for a function, or for what is none, when it has been answered. Nil: nobody.
	Observe func(Exchange)
	// Color colours warnings and errors, as func does on a terminal.
	Color bool
}

const (
	defaultAddr = "127.0.0.1:0"

	// defaultFunctionTimeout is that of every plan but Consumption.
	defaultFunctionTimeout = 30 * time.Minute

	// defaultBodyLimit is Kestrel's MaxRequestBodySize as the host sets it, in bytes.
	defaultBodyLimit = 100 << 20
)

// app is a function app as its files and settings describe it.
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

// httpGroup is the group of all HTTP functions. Any other function with a queue is a group of its own.
const httpGroup = "http"

// inGroup says if the instance runs the functions of a group.
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

// bodyLimit returns the most bytes that a request's body may have.
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

// environment is a list of NAME=VALUE. The last of several with one name holds, as for os/exec.
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

// isTrue says if the setting is "true" or "1". The name of a setting has no case for the host.
func (e environment) isTrue(name string) bool {
	on := false
	for _, entry := range e {
		if n, v, _ := strings.Cut(entry, "="); strings.EqualFold(n, name) {
			on = strings.EqualFold(v, "true") || v == "1"
		}
	}
	return on
}
