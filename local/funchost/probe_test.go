package funchost_test

import (
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	probeVar   = "FUNCHOST_TEST_PROBE" // 1: be the handler
	startVar   = "FUNCHOST_TEST_START" // what to do before listening, in the form of a query string
	headerTell = "X-Probe"             // what to do with a request, likewise
)

// seen has the request as the handler saw it, and data about the handler's process.
type seen struct {
	PID              int
	Method, URI      string
	Host, RemoteAddr string
	Header           http.Header
	Body             []byte
	ContentLength    int64
	TransferEncoding []string

	Hits, Roots int64 // requests so far, this one included, and those for /
	Root        http.Header
	Dir         string
	Args        []string
	Env         []string
}

// probe is a handler that answers with the request that it saw, and follows the instructions of the header X-Probe or
// of a queue's message.
type probe struct {
	hits, roots atomic.Int64
	root        atomic.Pointer[http.Header]
	env         []string
	rootGate    string // a file that has to exist before / is answered
	seenFile    string // gets what it saw of invocations for messages, a line each
}

// runProbe is the handler's main function.
func runProbe(env []string) int {
	parent := os.Getppid()
	go func() {
		for range time.Tick(100 * time.Millisecond) {
			if os.Getppid() != parent {
				os.Exit(1)
			}
		}
	}()
	tell, err := url.ParseQuery(variable(env, startVar))
	if err != nil {
		panic(err)
	}
	if file := tell.Get("log"); file != "" {
		appendTo(file, "started\n")
	}
	for _, line := range tell["stderr"] {
		printTo(os.Stderr, line+"\n")
	}
	if code := tell.Get("exit"); code != "" {
		return number(code)
	}
	if file := tell.Get("gate"); file != "" {
		await(file)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+variable(env, "FUNCTIONS_CUSTOMHANDLER_PORT")) //nolint:noctx // lives as long as the process
	if err != nil {
		panic(err)
	}
	server := &http.Server{Handler: &probe{env: env, rootGate: tell.Get("rootgate"), seenFile: tell.Get("seen")}, ReadHeaderTimeout: time.Minute}
	panic(server.Serve(listener))
}

func (p *probe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" {
		p.roots.Add(1)
		p.root.CompareAndSwap(nil, &r.Header)
		if p.rootGate != "" {
			await(p.rootGate)
		}
		http.NotFound(w, r)
		return
	}
	hits := p.hits.Add(1)
	tell, err := url.ParseQuery(r.Header.Get(headerTell))
	if err != nil {
		panic(err)
	}
	if code := tell.Get("early"); code != "" { // before the body
		w.WriteHeader(number(code))
		return
	}
	if tell.Has("count") { // instead of keeping it
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strconv.FormatInt(n, 10))
		return
	}
	for _, code := range tell["informational"] {
		w.Header().Set("X-Informational", code)
		w.WriteHeader(number(code))
		w.Header().Del("X-Informational")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	saw := p.see(r, body, hits)
	if p.seenFile != "" && !strings.HasPrefix(strings.ToLower(r.URL.Path), "/api/") {
		p.invocation(w, r, saw, hits)
		return
	}
	p.obey(w, r, tell, hits)
	if !tell.Has("silent") {
		_, _ = w.Write(saw) //nolint:gosec // G705: no browser reads this
	}
}

// see records a request.
func (p *probe) see(r *http.Request, body []byte, hits int64) []byte {
	dir, _ := os.Getwd()
	saw, err := json.Marshal(seen{
		PID: os.Getpid(), Method: r.Method, URI: r.RequestURI, Host: r.Host, RemoteAddr: r.RemoteAddr,
		Header: r.Header, Body: body, ContentLength: r.ContentLength, TransferEncoding: r.TransferEncoding,
		Hits: hits, Roots: p.roots.Load(), Root: *p.root.Load(), Dir: dir, Args: os.Args[1:], Env: p.env,
	})
	if err != nil {
		panic(err)
	}
	return saw
}

// invocation follows the instructions of the message, and answers {} by default.
func (p *probe) invocation(w http.ResponseWriter, r *http.Request, saw []byte, hits int64) {
	appendTo(p.seenFile, string(saw)+"\n")
	tell, _ := url.ParseQuery(messageText(saw)) // messages that are not a query have no instructions
	w.Header().Set("Content-Type", "application/json")
	if tell.Has("type") {
		w.Header()["Content-Type"] = nil
	}
	if kind := tell.Get("type"); kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	p.obey(w, r, tell, hits)
	if tell.Has("chunked") {
		_ = http.NewResponseController(w).Flush()
	}
	answer := "{}"
	if tell.Has("body") {
		answer = tell.Get("body")
	}
	_, _ = io.WriteString(w, answer)
}

// messageText returns the message that is the only member of an invocation's Data, in either form.
func messageText(saw []byte) string {
	var request seen
	var invocation struct{ Data map[string]string }
	if err := json.Unmarshal(saw, &request); err != nil {
		panic(err)
	}
	if json.Unmarshal(request.Body, &invocation) != nil {
		return ""
	}
	for _, text := range invocation.Data {
		var plain string
		if json.Unmarshal([]byte(text), &plain) == nil {
			return plain
		}
		bytes, _ := base64.StdEncoding.DecodeString(text)
		return string(bytes)
	}
	return ""
}

// obey follows the instructions of a request, in a fixed order.
func (p *probe) obey(w http.ResponseWriter, r *http.Request, tell url.Values, hits int64) {
	for _, line := range tell["stdout"] {
		printTo(os.Stdout, line+"\n")
	}
	for _, line := range tell["stderr"] {
		printTo(os.Stderr, line+"\n")
	}
	printTo(os.Stdout, tell.Get("unended"))
	printTo(os.Stderr, tell.Get("unendedErr"))
	for _, pair := range tell["header"] {
		name, value, _ := strings.Cut(pair, ":")
		w.Header().Add(name, value)
	}
	if tell.Has("untyped") {
		w.Header()["Content-Type"] = nil
	}
	if code := tell.Get("status"); code != "" {
		w.WriteHeader(number(code))
	}
	if tell.Has("flush") {
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
	}
	if file := tell.Get("report"); file != "" {
		appendTo(file, "started\n")
	}
	if file := tell.Get("wait"); file != "" {
		outcome := "finished\n"
		if !awaitOr(file, r.Context().Done()) {
			outcome = "cancelled\n"
		}
		appendTo(tell.Get("report"), outcome)
	}
	_, _ = io.WriteString(w, tell.Get("last")) //nolint:gosec // G705: no browser reads this
	if code := tell.Get("exit"); code != "" {
		os.Exit(number(code))
	}
	if n := tell.Get("drop"); n != "" && hits <= int64(number(n)) {
		panic(http.ErrAbortHandler)
	}
	if tell.Has("half") {
		if length := tell.Get("half"); length != "" {
			w.Header().Set("Content-Length", length)
		}
		_, _ = io.WriteString(w, "half an answer")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func printTo(w io.Writer, text string) {
	if _, err := io.WriteString(w, text); err != nil {
		panic(err)
	}
}

func appendTo(file, text string) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // G703: the test names it
	if err != nil {
		panic(err)
	}
	if _, err := f.WriteString(text); err != nil {
		panic(err)
	}
	if err := f.Close(); err != nil {
		panic(err)
	}
}

// variable returns the value of a name in an environment.
func variable(env []string, name string) string {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// await waits until the file exists.
func await(file string) { awaitOr(file, nil) }

// awaitOr waits until the file exists or done is closed, and says whether the file exists.
func awaitOr(file string, done <-chan struct{}) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(file); err == nil { //nolint:gosec // G703: the test names it
			return true
		} else if !errors.Is(err, os.ErrNotExist) {
			panic(err)
		}
		select {
		case <-done:
			return false
		case <-tick.C:
		}
	}
}
