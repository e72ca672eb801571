package funchost_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"userrelay/local/devstorage"
	"userrelay/local/funchost"
	"userrelay/test/wait"
)

// scripted is a queue service with scripted answers. It begins without a queue.
type scripted struct {
	*httptest.Server
	status   atomic.Int32 // 0: there is no such queue
	requests atomic.Int32
}

func startScripted(t *testing.T) *scripted {
	t.Helper()
	s := &scripted{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.requests.Add(1)
		if status := s.status.Load(); status != 0 {
			w.WriteHeader(int(status))
			return
		}
		w.Header().Set("X-Ms-Error-Code", "QueueNotFound")
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(s.Close)
	return s
}

// setting names it.
func (s *scripted) setting() string {
	return "AzureWebJobsStorage=AccountName=" + devstorage.Account + ";AccountKey=" + devstorage.Key + ";QueueEndpoint=" + s.URL + "/" + devstorage.Account
}

// TestQueueUnhandled shows how the host ends after a listener's unhandled error, here a refused key: requests in
// progress are answered, new ones refused.
func TestQueueUnhandled(t *testing.T) {
	t.Parallel()
	service := startScripted(t)
	cfg := config(t, funchost.Forward, "")
	cfg.Dir = queueApp(nil).write(t)
	cfg.Env = append(cfg.Env, service.setting())
	r := start(t, cfg)
	gate, report := filepath.Join(t.TempDir(), "gate"), filepath.Join(t.TempDir(), "report")
	answer := r.begin(t, "POST", open, "x", tell("report", report, "wait", gate))
	wait.For(t, "the request, and a look for the queue", func() bool { return contains(report, "started") && service.requests.Load() > 0 })
	service.status.Store(http.StatusForbidden)
	wait.For(t, "the end of listening", func() bool { return !listens(t, strings.TrimPrefix(r.URL(), "http://")) })
	writeFile(t, gate, "")
	if got := wait.Receive(t, "the answer", answer).seen(t); string(got.Body) != "x" {
		t.Errorf("the request under way got %q", got.Body)
	}
	const why = "An unhandled exception has occurred. Host is shutting down. take messages: the queue service answered 403"
	wantStopped(t, r, why)
	if r.console.count(why) != 1 {
		t.Error("the console does not say why, or more than once")
	}
}

// TestDisabledTrigger shows that the queue of a disabled function is not used, and which spellings of the setting the
// host reads.
func TestDisabledTrigger(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		setting string
		touched bool
	}{
		{"AzureWebJobs.Drain.Disabled=true", false},
		{"AzureWebJobs_Drain_Disabled=1", false},
		{"azurewebjobs.drain.disabled=TRUE", false},
		{"AzureWebJobs__Drain__Disabled=true", true}, // to .NET's configuration this is AzureWebJobs:Drain:Disabled
		{"AzureWebJobs.Drain.Disabled=false", true},
	} {
		t.Run(tt.setting, func(t *testing.T) {
			t.Parallel()
			service := startScripted(t)
			service.status.Store(http.StatusForbidden) // which would end the host
			cfg := config(t, funchost.Forward, "")
			cfg.Dir = queueApp(nil).write(t)
			cfg.Env = append(cfg.Env, service.setting(), tt.setting)
			r := start(t, cfg)
			if tt.touched {
				wantStopped(t, r, "answered 403")
				return
			}
			for range 20 {
				r.call(t, "GET", open, "").seen(t)
			}
			if err := r.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if n := service.requests.Load(); n != 0 || !r.console.has("Function Drain is disabled.") {
				t.Errorf("%d requests to the queue service, want none, and the console to say so", n)
			}
		})
	}
}
