package funchost_test

import (
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"userrelay/local/funchost"
	"userrelay/test/wait"
)

const (
	uuid = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`
	open = "/api/Open"
)

// TestForwardedHeaders compares the headers that the handler gets with those that the client sent.
func TestForwardedHeaders(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Forward, ""))
	tests := []struct {
		name, method, body string
		send               []string
		want               map[string]string // a pattern for the one line of each header, "" where there must be none
	}{
		{
			name: "copied", method: "GET",
			send: []string{
				"X-Functions-Key: k", "Authorization: Bearer t", "Cookie: a=1; b=2", "Idempotency-Key: i",
				"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: example.com", "Accept: text/html",
				"Tracestate: a=b", "Baggage: a=b", "Correlation-Context: c", "Request-Id: r",
			},
			want: map[string]string{
				"X-Functions-Key": "k", "Authorization": "Bearer t", "Cookie": "a=1; b=2", "Idempotency-Key": "i",
				"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "example.com", "Accept": "text/html",
				"Tracestate": "a=b", "Baggage": "a=b", "Correlation-Context": "c", "Request-Id": "r",
				"X-Ms-Invocation-Id": "", "X-Forwarded-Proto": "",
			},
		},
		{
			name: "repeated", method: "GET", send: []string{"X-Many: 1", "X-Many: 2", "X-Many: 3"},
			want: map[string]string{"X-Many": "1, 2, 3"},
		},
		{
			name: "user agent", method: "GET", send: []string{"User-Agent: curl/8"},
			want: map[string]string{"User-Agent": `curl/8 Azure-Functions-Host/4\.1037\.0\.0`},
		},
		{
			name: "no user agent", method: "GET", send: []string{"User-Agent: "},
			want: map[string]string{"User-Agent": `Azure-Functions-Host/4\.1037\.0\.0`},
		},
		{
			name: "invocation", method: "GET",
			want: map[string]string{"X-Azure-Functions-Invocationid": uuid, "X-Azure-Functions-Hostversion": `4\.1037\.0\.0`},
		},
		{
			name: "client's own invocation", method: "GET",
			send: []string{"X-Azure-Functions-InvocationId: mine", "X-Azure-Functions-HostVersion: 1"},
			want: map[string]string{"X-Azure-Functions-Invocationid": "mine, " + uuid, "X-Azure-Functions-Hostversion": `1, 4\.1037\.0\.0`},
		},
		{
			name: "of the body", method: "POST", body: "\x1f\x8b\x00",
			send: []string{
				"Content-Type: application/json; charset=utf-8", "Content-Encoding: gzip", "Content-Language: de",
				"Content-MD5: x", "Content-Disposition: inline", "Expires: 0", "Last-Modified: yesterday",
			},
			want: map[string]string{
				"Content-Type": "application/json; charset=utf-8", "Content-Length": "3", "Content-Encoding": "", "Content-Language": "",
				"Content-Md5": "", "Content-Disposition": "", "Expires": "", "Last-Modified": "",
			},
		},
		{
			name: "without a body", method: "POST", send: []string{"Content-Type: text/html"},
			want: map[string]string{"Content-Type": "", "Content-Length": "0", "Transfer-Encoding": ""},
		},
		{
			name: "bad content type without a body", method: "POST", send: []string{"Content-Type: nonsense"},
			want: map[string]string{"Content-Type": ""},
		},
		{
			name: "hop by hop", method: "POST", body: "x",
			send: []string{"Keep-Alive: timeout=5", "TE: trailers", "Upgrade: h2c", "Connection: upgrade", "Expect: 100-continue"},
			want: map[string]string{
				"Keep-Alive": "timeout=5", "Te": "trailers", "Upgrade": "h2c", "Connection": "upgrade", "Expect": "100-continue",
			},
		},
		{
			name: "traceparent", method: "GET", send: []string{"Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			want: map[string]string{"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		},
		{
			name: "invalid traceparent", method: "GET", send: []string{"Traceparent: nonsense"},
			want: map[string]string{"Traceparent": "nonsense"},
		},
		{
			name: "no traceparent", method: "GET", want: map[string]string{"Traceparent": ""},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := r.call(t, tt.method, open, tt.body, tt.send...).seen(t)
			if string(got.Body) != tt.body {
				t.Errorf("body %q, want %q", got.Body, tt.body)
			}
			wantHeaders(t, got.Header, tt.want)
		})
	}
}

func TestForwardedTarget(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Forward, ""))
	for _, tt := range []struct{ name, send, want string }{
		{"as written", "/API/open", "/API/open"},
		{"trailing slash", "/api/OPEN/", "/api/OPEN/"},
		{"names without case", "/api/Open?A=1&b=x&a=2&A=3", "/api/Open?A=1,2,3&b=x"},
		{"last spelling", "/api/Open?A=1&a=2", "/api/Open?a=1,2"},
		{"flag", "/api/Open?flag", "/api/Open?flag="},
		{"code stays", "/api/Open?code=a%2Fb%3d%3D", "/api/Open?code=a%2Fb%3D%3D"},
		{"encoded anew", "/api/Open?q=a+b%20c%2Cd:e'%C3%A4", "/api/Open?q=a%20b%20c,d%3Ae%27%C3%A4"},
		{"no escape", "/api/Open?q=100%", "/api/Open?q=100%25"},
		{"empty parts", "/api/Open?&&a=1&", "/api/Open?a=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := r.call(t, "GET", tt.send, "").seen(t).URI; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("host", func(t *testing.T) {
		t.Parallel()
		req := r.request(t, "GET", open, "")
		req.Host = "relay.example.com"
		if got := r.do(req).seen(t).Host; got != "relay.example.com" {
			t.Errorf("got Host %q, want the client's", got)
		}
	})
}

// TestForwardKeepsConnections checks that connections to the handler are reused, and that a client's Connection: close
// reaches the handler.
func TestForwardKeepsConnections(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Forward, ""))
	first := r.call(t, "POST", open, "x").seen(t).RemoteAddr
	for range 20 {
		if again := r.call(t, "POST", open, "x").seen(t).RemoteAddr; again != first {
			t.Fatalf("connection from %s after one from %s, want it kept", again, first)
		}
	}
	closing := r.call(t, "POST", open, "x", "Connection: close").seen(t)
	if closing.Header.Get("Connection") != "close" {
		t.Errorf("Connection header %q, want the client's", closing.Header.Get("Connection"))
	}
	if next := r.call(t, "POST", open, "x").seen(t).RemoteAddr; next == first {
		t.Error("the connection was kept after Connection: close")
	}
}

// TestAnswers shows for both modes that the client gets the handler's answer unchanged.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config(t, mode.mode, ""))
			for _, status := range []int{200, 202, 301, 307, 400, 401, 404, 413, 429, 500, 503} {
				got := r.call(t, "POST", open, "x", tell("status", strconv.Itoa(status), "header", "Location:/elsewhere"))
				if got.status != status || got.seen(t).Hits == 0 || got.header.Get("Location") != "/elsewhere" {
					t.Errorf("got %+v, want the handler's answer with status %d", got, status)
				}
			}
			got := r.call(t, "GET", open, "", tell("status", "503", "header", "Retry-After:2", "header", "Content-Type:application/problem+json",
				"header", "Www-Authenticate:Bearer", "header", "Allow:POST", "header", "Etag:\"1\"", "header", "Content-Encoding:x-probe",
				"header", "Set-Cookie:a=1", "header", "Set-Cookie:b=2"))
			wantHeaders(t, got.header, map[string]string{
				"Retry-After": "2", "Content-Type": `application/problem\+json`, "Www-Authenticate": "Bearer", "Allow": "POST",
				"Etag": `"1"`, "Content-Encoding": "x-probe", "Server": "Kestrel", "Request-Context": "",
			})
			if cookies := got.header.Values("Set-Cookie"); !slices.Equal(cookies, []string{"a=1", "b=2"}) {
				t.Errorf("cookies %q, want both", cookies)
			}
			own := r.call(t, "GET", open, "", tell("header", "Server:probe"))
			wantHeaders(t, own.header, map[string]string{"Server": "probe"})
			untyped := r.call(t, "GET", open, "", tell("untyped", ""))
			if _, ok := untyped.header["Content-Type"]; ok || untyped.seen(t).Hits == 0 {
				t.Errorf("got Content-Type %q, want none as the handler gave none", untyped.header["Content-Type"])
			}
			head := r.call(t, "HEAD", open, "", tell("header", "X-A:b"))
			if head.status != http.StatusOK || head.header.Get("X-A") != "b" || head.body != "" {
				t.Errorf("HEAD: got %+v", head)
			}
		})
	}
}

// TestForwardBuffers shows that the client gets nothing of an answer before it is complete.
func TestForwardBuffers(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Forward, ""))
	gate, report := filepath.Join(t.TempDir(), "gate"), filepath.Join(t.TempDir(), "report")
	answer := r.begin(t, "GET", open, "", tell("flush", "", "report", report, "wait", gate))
	wait.For(t, "the first half of the answer", func() bool { return contains(report, "started") })
	r.call(t, "GET", open, "").seen(t) // enough time for the first half to arrive
	select {
	case got := <-answer:
		t.Fatalf("the client has an answer before it is whole: %+v", got)
	default:
	}
	writeFile(t, gate, "")
	if got := wait.Receive(t, "the answer", answer); !strings.HasPrefix(got.body, "first {") {
		t.Errorf("got %+v, want the whole answer", got)
	}
}

func TestForwardRefusesChunked(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, funchost.Forward, ""))
	req := r.request(t, "POST", open, "")
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader("chunked")), -1
	r.do(req).wantEmpty(t, http.StatusInternalServerError)
	if got := r.call(t, "GET", open, "").seen(t); got.Hits != 1 {
		t.Errorf("the handler has seen %d requests, want the second only", got.Hits)
	}
}
