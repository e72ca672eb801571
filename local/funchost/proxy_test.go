package funchost_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"userrelay/local/funchost"
	"userrelay/test/wait"
)

func TestProxiedRequest(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Proxy, ""))
	got := r.call(t, "POST", "/API/open/?A=1&a=2&flag&code=x%3d&q=a+b;c", "body",
		"Content-Type: nonsense", "Content-Encoding: gzip", "User-Agent: curl/8", "X-Functions-Key: k", "Cookie: a=1",
		"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: example.com", "X-Forwarded-Proto: https", "X-Forwarded-Prefix: /p",
		"X-Azure-Functions-InvocationId: mine", "X-Ms-Invocation-Id: mine", "X-Azure-Functions-HostVersion: mine",
		"Connection: keep-alive, X-Dropped", "X-Dropped: x", "Keep-Alive: timeout=5", "TE: trailers", "Proxy-Authorization: p",
		"Alt-Svc: x", "Upgrade-Insecure-Requests: 1", "Traceparent: nonsense").seen(t)
	if want := "/API/open/?A=1&a=2&flag&code=x%3d&q=a+b;c"; got.URI != want {
		t.Errorf("URI %s, want %s", got.URI, want)
	}
	if string(got.Body) != "body" || got.ContentLength != 4 {
		t.Errorf("body %q of length %d, want it whole", got.Body, got.ContentLength)
	}
	if want := "127.0.0.1:" + variable(got.Env, "FUNCTIONS_CUSTOMHANDLER_PORT"); got.Host != want {
		t.Errorf("Host %s, want the handler's own %s", got.Host, want)
	}
	hostPattern := strings.ReplaceAll(strings.TrimPrefix(r.URL(), "http://"), ".", `\.`)
	wantHeaders(t, got.Header, map[string]string{
		"Content-Type": "nonsense", "Content-Encoding": "gzip", "User-Agent": "curl/8", "X-Functions-Key": "k", "Cookie": "a=1",
		"X-Forwarded-For": `127\.0\.0\.1`, "X-Forwarded-Host": hostPattern, "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "",
		"X-Azure-Functions-Invocationid": uuid, "X-Ms-Invocation-Id": uuid, "X-Azure-Functions-Hostversion": `4\.1037\.0\.0`,
		"Connection": "", "X-Dropped": "", "Keep-Alive": "", "Te": "", "Proxy-Authorization": "", "Alt-Svc": "",
		"Upgrade-Insecure-Requests": "", "Traceparent": "nonsense",
	})
	if a, b := got.Header.Get("X-Azure-Functions-Invocationid"), got.Header.Get("X-Ms-Invocation-Id"); a != b {
		t.Errorf("two invocation ids, %s and %s", a, b)
	}
	plain := r.call(t, "GET", open, "", "User-Agent: ").seen(t)
	wantHeaders(t, plain.Header, map[string]string{"User-Agent": "", "Traceparent": "", "Accept-Encoding": ""})
}

func TestProxyPassesChunked(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Proxy, ""))
	req := r.request(t, "POST", open, "")
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader("in chunks")), -1
	got := r.do(req).seen(t)
	if string(got.Body) != "in chunks" || !slices.Equal(got.TransferEncoding, []string{"chunked"}) {
		t.Errorf("got %q, encoding %q, want the chunks", got.Body, got.TransferEncoding)
	}
}

// TestProxyStreams shows that the client gets the first half of an answer before the handler writes the second.
func TestProxyStreams(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Proxy, ""))
	for _, tt := range []struct{ name, header string }{
		{"chunked", "X-A:b"},
		{"of known length", "Content-Length:10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			gate := filepath.Join(t.TempDir(), "gate")
			ctx := wait.Context(t)
			resp, err := r.client.Do(r.request(t, "GET", open, "",
				tell("header", tt.header, "flush", "", "wait", gate, "report", gate+".report", "last", "last", "silent", "")).WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			half := make([]byte, len("first "))
			if _, err := io.ReadFull(resp.Body, half); err != nil || string(half) != "first " {
				t.Fatalf("got %q %v, want the first half", half, err)
			}
			writeFile(t, gate, "")
			if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "last" {
				t.Errorf("got %q %v, want the rest", rest, err)
			}
		})
	}
}

// TestClientGone has a client that disconnects: in forward mode the handler does not notice, in proxy mode it does.
// Neither mode reports a failure.
func TestClientGone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		mode      funchost.Mode
		want, not string
	}{
		{"forward", funchost.Forward, "finished", "cancelled"},
		{"proxy", funchost.Proxy, "cancelled", "finished"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config(t, tt.mode, ""))
			gate, report := filepath.Join(t.TempDir(), "gate"), filepath.Join(t.TempDir(), "report")
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			req := r.request(t, "POST", open, "x", tell("wait", gate, "report", report)).WithContext(ctx)
			answer := make(chan reply, 1)
			go func() { answer <- r.do(req) }()
			wait.For(t, "the request", func() bool { return contains(report, "started") })
			leave()
			if got := wait.Receive(t, "the client's error", answer); got.err == nil {
				t.Fatalf("got %+v, want an error", got)
			}
			for range 20 { // enough time for the handler to notice
				r.call(t, "GET", open, "").seen(t)
			}
			if tt.mode == funchost.Forward {
				writeFile(t, gate, "")
			}
			wait.For(t, "the handler's outcome", func() bool { return contains(report, tt.want) })
			if contains(report, tt.not) {
				t.Errorf("the request was also %s", tt.not)
			}
			wait.For(t, "21 invocations that succeeded", func() bool { return r.console.count("(Succeeded, Id=") == 21 })
			if r.console.has("(Failed") {
				t.Error("an invocation failed")
			}
		})
	}
}

// TestHandlerDrops shows what the client gets when the handler closes the connection.
func TestHandlerDrops(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config(t, mode.mode, ""))
			r.call(t, "POST", open, "x", tell("drop", "1")).wantEmpty(t, http.StatusInternalServerError)
			if got := r.call(t, "POST", open, "x").seen(t); got.Hits != 2 {
				t.Errorf("the handler has seen %d requests, want the dropped one once and this one", got.Hits)
			}
			if !r.console.matches(`Executed 'Functions\.Open' \(Failed, Id=` + uuid + `, Duration=\d+ms\)$`) {
				t.Error("the console does not say that the invocation failed")
			}
			for _, length := range []string{"100", ""} { // "" is chunked
				half := r.call(t, "POST", open, "x", tell("half", length))
				if mode.mode == funchost.Forward {
					half.wantEmpty(t, http.StatusInternalServerError)
				} else if half.err == nil {
					t.Errorf("length %q: got %+v, want half an answer", length, half)
				}
			}
			wait.For(t, "the third failure", func() bool { return r.console.count("(Failed, Id=") == 3 })
		})
	}
}

// TestProxyRetries shows that a request is retried if its body was not read.
func TestProxyRetries(t *testing.T) {
	t.Parallel()
	t.Run("until it gets through", func(t *testing.T) {
		t.Parallel()
		r := start(t, config(t, funchost.Proxy, ""))
		if got := r.call(t, "GET", open, "", tell("drop", "4")).seen(t); got.Hits != 5 {
			t.Errorf("answered at attempt %d, want 5", got.Hits)
		}
	})
	t.Run("ten times", func(t *testing.T) {
		t.Parallel()
		r := start(t, config(t, funchost.Proxy, ""))
		r.call(t, "GET", open, "", "Connection: close", tell("drop", "1000")).wantEmpty(t, http.StatusInternalServerError)
		if got := r.call(t, "POST", open, "x").seen(t); got.Hits < 11 || got.Hits > 13 {
			t.Errorf("the handler has seen %d requests, want ten attempts, this one, and what net/http tried again", got.Hits)
		}
	})
	t.Run("where nobody listens", func(t *testing.T) {
		t.Parallel()
		r := start(t, config(t, funchost.Proxy, ""))
		got := r.call(t, "GET", open, "").seen(t)
		r.call(t, "POST", open, "x", tell("exit", "0")).wantEmpty(t, http.StatusInternalServerError)
		wait.For(t, "the handler's end", func() bool { return r.HandlerPID() == 0 })
		answer := r.begin(t, "POST", open, "body", tell("silent", ""))
		wait.For(t, "the second invocation", func() bool { return r.console.count("Executing ") == 3 })
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:"+variable(got.Env, "FUNCTIONS_CUSTOMHANDLER_PORT"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }()
		if err := listener.(*net.TCPListener).SetDeadline(time.Now().Add(wait.Patience)); err != nil { //nolint:errcheck // what a tcp listener is
			t.Fatal(err)
		}
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		_ = listener.Close()
		wait.Receive(t, "the answer", answer).wantEmpty(t, http.StatusInternalServerError)
	})
}
