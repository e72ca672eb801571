package funchost_test

import (
	"net/http"
	"slices"
	"testing"

	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

// TestGroups runs an app as Flex Consumption does: HTTP functions and queue functions on separate instances.
func TestGroups(t *testing.T) {
	t.Parallel()
	service := startScripted(t)
	service.status.Store(http.StatusForbidden) // which ends a host that listens to the queue
	a := queueApp(nil)
	cfg, q := queueConfig(t, a, "")
	q.put(t, "")
	drains := cfg
	drains.Env = append(slices.Clone(cfg.Env), "FUNCTIONS_TARGET_GROUP=drain")
	cfg.Env = append(slices.Clone(cfg.Env), service.setting(), "FUNCTIONS_TARGET_GROUP=http")
	front := start(t, cfg)
	front.call(t, "GET", open, "").seen(t)
	q.rig = start(t, drains)
	call := q.calls(t, 1)[0]
	wait.For(t, "the message's end", func() bool { return queuetest.Count(t, q.jobs) == 0 })
	q.call(t, "GET", open, "").wantEmpty(t, http.StatusNotFound)
	saw := front.call(t, "GET", open, "").seen(t)
	if saw.PID == call.PID {
		t.Error("one handler for both groups")
	}
	if n := service.requests.Load(); n != 0 || !front.console.has("Function group target is http") {
		t.Errorf("the instance for HTTP asked the queue service %d times", n)
	}
}
