package simulation

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/go-json-experiment/json"

	"userrelay/handler/outbox"
)

// The queue trigger, as configured by host.json (local/funchost is a complete stand-in).
const (
	batchSize         = 16
	newBatchThreshold = 8
	retryAfter        = time.Minute
	lease             = 10 * time.Minute
	briefLease        = 20 * time.Second
	longestPause      = 15 * time.Second
	functionTimeout   = 5 * time.Minute
)

// drained is an invocation of the function that drains.
type drained struct {
	by       string // the life that was asked
	id       string // of the message
	trace    string
	from, to time.Duration
	status   int
}

// trigger passes the messages of the outbox to the handler until the host's life ends.
func (h *host) trigger(u *uptime) {
	w, alive := h.w, u.alive
	way := &queueLink{w: w, wires: h.queue, name: h.name(), dead: &h.wires.hostDead}
	options := &azqueue.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: way}, Retry: policy.RetryOptions{MaxRetries: 2, TryTimeout: 30 * time.Second, RetryDelay: 100 * time.Millisecond},
	}}
	queue, err := azqueue.NewQueueClientFromConnectionString(w.queue.ConnectionString(), outbox.QueueName, options)
	w.must(err)
	most, hidden := int32(batchSize), int32(lease/time.Second)
	if w.plan.Setup.BriefLease {
		hidden = int32(briefLease / time.Second)
	}
	done := make(chan struct{}, batchSize+newBatchThreshold)
	pause, underWay := 100*time.Millisecond, 0
	for alive.Err() == nil {
		got, err := queue.DequeueMessages(alive, &azqueue.DequeueMessagesOptions{NumberOfMessages: &most, VisibilityTimeout: &hidden})
		if err != nil || len(got.Messages) == 0 {
			pause = min(2*pause+w.jitter(h.name(), "look"), longestPause)
			select {
			case <-time.After(pause):
			case <-alive.Done():
			}
			continue
		}
		pause = 100 * time.Millisecond
		for _, m := range got.Messages {
			underWay++
			u.polling.Go(func() {
				h.drain(alive, queue, m)
				done <- struct{}{}
			})
		}
		for underWay > newBatchThreshold && alive.Err() == nil {
			select {
			case <-done:
				underWay--
			case <-alive.Done():
			}
		}
	}
}

// drain passes a message to the handler. The answer decides whether the message is deleted.
func (h *host) drain(alive context.Context, queue *azqueue.QueueClient, m *azqueue.DequeuedMessage) {
	w := h.w
	trace := traceOf(*m.MessageText)
	select {
	case <-time.After(w.jitter(h.name(), "message "+trace)):
	case <-alive.Done():
		return
	}
	body, err := json.Marshal(map[string]any{"Data": map[string]string{"message": *m.MessageText}})
	w.must(err)
	d := drained{id: *m.MessageID, trace: trace, from: time.Since(w.begin)}
	a := h.post(alive, "/DrainOutbox", http.Header{
		"Content-Type": {"application/json"}, "X-Azure-Functions-Invocationid": {trace}, "Traceparent": {"00-" + strings.Repeat("d", 32) + "-" + trace[:16] + "-01"},
	}, body)
	d.by, d.status, d.to = a.by, a.status, time.Since(w.begin)
	if a.took > functionTimeout {
		w.problem("TOO LONG: a drain by %s took %v, and the host would have killed the handler", a.by, a.took)
	}
	w.mu.Lock()
	w.drains = append(w.drains, d)
	w.mu.Unlock()
	w.logf("%s drained a message: %d", a.by, a.status)
	if alive.Err() != nil {
		return
	}
	if a.status/100 == 2 {
		_, _ = queue.DeleteMessage(alive, *m.MessageID, *m.PopReceipt, nil)
		return
	}
	again := int32(retryAfter / time.Second)
	_, _ = queue.UpdateMessage(alive, *m.MessageID, *m.PopReceipt, *m.MessageText, &azqueue.UpdateMessageOptions{VisibilityTimeout: &again})
}
