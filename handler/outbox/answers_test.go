package outbox_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/outbox"
	"userrelay/test/wait"
)

// silent returns the address of a service that accepts connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return "http://" + l.Addr().String()
}

// Any service may answer at the address. No answer makes Put report a message as stored that is not, and errors repeat
// nothing of it.
func TestAnswersOfSomethingElse(t *testing.T) {
	t.Parallel()
	const echo = "Pr1vate"
	certain := map[string]bool{"403 with a code that is none": true, "404 of a web server": true, "503, at once and again": true, "QueueNotFound for ever": true}
	for name, answer := range map[string]http.HandlerFunc{
		"200, a page": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>" + echo)) },
		"200, empty":  func(http.ResponseWriter, *http.Request) {},
		"201, a page": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("<html>" + echo + "</html>"))
		},
		"201, no message": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("<QueueMessagesList></QueueMessagesList>"))
		},
		"201, no id": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("<QueueMessagesList><QueueMessage></QueueMessage></QueueMessagesList>"))
		},
		"201, cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("<QueueMessagesList>"))
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/"+echo, http.StatusTemporaryRedirect)
		},
		"403 with a code that is none": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Ms-Error-Code", echo+" <x>")
			w.WriteHeader(http.StatusForbidden)
		},
		"404 of a web server": func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
		"500":                 func(w http.ResponseWriter, _ *http.Request) { http.Error(w, echo, http.StatusInternalServerError) },
		"503, at once and again": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"nothing": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"QueueNotFound for ever": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				w.WriteHeader(http.StatusCreated)
				return
			}
			w.Header().Set("X-Ms-Error-Code", "QueueNotFound")
			w.WriteHeader(http.StatusNotFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(answer)
			defer s.Close()
			q := open(t, "AccountName=abc;AccountKey="+key+";QueueEndpoint="+s.URL)
			kept, err := q.Put(wait.Context(t), message(1), 0)
			if err == nil || kept.ID != "" || strings.Contains(err.Error(), "Timeout") {
				t.Fatalf("kept as %+v, error %v", kept, err)
			}
			if want := map[bool]delivery.Class{true: delivery.Unavailable, false: delivery.UnknownOutcome}[certain[name]]; delivery.ClassOf(err) != want {
				t.Errorf("error = %v, want one of class %s", err, want)
			}
			if strings.Contains(err.Error(), echo) || strings.Contains(err.Error(), s.URL) || outbox.Advice(err) == "" {
				t.Errorf("error = %v, advice %q", err, outbox.Advice(err))
			}
		})
	}
}

// If nothing listens at the address, the error says so.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(nil)
	s.Close()
	q := open(t, "AccountName=abc;AccountKey="+key+";QueueEndpoint="+s.URL)
	for what, call := range map[string]func() error{
		"put":     func() error { _, err := q.Put(wait.Context(t), message(1), 0); return err },
		"delete":  func() error { return q.Delete(wait.Context(t), delivery.Kept{ID: "a", Receipt: "b"}) },
		"show":    func() error { return q.Show(wait.Context(t), delivery.Kept{ID: "a", Receipt: "b"}, time.Minute) },
		"poison":  func() error { _, err := q.Poison(wait.Context(t), []byte("x"), "y"); return err },
		"receive": func() error { _, err := q.Receive(wait.Context(t), 1, time.Minute); return err },
		"count":   func() error { _, err := q.Count(wait.Context(t)); return err },
		"list":    func() error { _, err := q.ListPoisoned(wait.Context(t)); return err },
		"resend":  func() error { return q.Resend(wait.Context(t), func(outbox.Poisoned) {}) },
		"check":   func() error { return q.Check(wait.Context(t)) },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), ": NoConnection") || delivery.ClassOf(err) == delivery.UnknownOutcome {
			t.Errorf("%s: %v", what, err)
		}
	}
}
