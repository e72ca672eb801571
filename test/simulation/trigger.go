package simulation

import (
	"context"
	"net/http"
	"strings"
	"time"

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

// trigger passes the messages of the outbox to the handler until the host's life ends.
func (h *host) trigger(u *uptime) {
	w, alive := h.w, u.alive
	queue := w.queueClient(outbox.QueueName, queueLink{&process{wires: h.wires, name: h.name}}, policy.RetryOptions{
		MaxRetries: 2, TryTimeout: 30 * time.Second, RetryDelay: 100 * time.Millisecond,
	})
	hidden := lease
	if w.plan.Setup.BriefLease {
		hidden = briefLease
	}
	options := &azqueue.DequeueMessagesOptions{NumberOfMessages: new(int32(batchSize)), VisibilityTimeout: new(int32(hidden / time.Second))}
	done := make(chan struct{}, batchSize+newBatchThreshold)
	pause, underWay := 100*time.Millisecond, 0
	for alive.Err() == nil {
		got, err := queue.DequeueMessages(alive, options)
		if err != nil || len(got.Messages) == 0 {
			pause = min(2*pause+w.jitter(h.name, "look"), longestPause)
			_ = sleep(alive, pause)
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
	if sleep(alive, w.jitter(h.name, "message "+trace)) != nil {
		return
	}
	body := must(json.Marshal(map[string]any{"Data": map[string]string{"message": *m.MessageText}}))
	from := time.Since(w.begin)
	a := h.ask(alive, http.MethodPost, "/DrainOutbox", invocation(trace, strings.Repeat("d", 32), trace[:16]), body)
	if a.took > functionTimeout {
		w.problem("TOO LONG: a drain by %s took %v, and the host would have killed the handler", a.by, a.took)
	}
	w.mu.Lock()
	w.operations = append(w.operations, operation{kind: "drain", id: *m.MessageID, by: a.by, at: from})
	w.mu.Unlock()
	w.logf("%s drained a message: %d", a.by, a.status)
	if alive.Err() != nil {
		return
	}
	if a.status/100 == 2 {
		_, _ = queue.DeleteMessage(alive, *m.MessageID, *m.PopReceipt, nil)
		return
	}
	_, _ = queue.UpdateMessage(alive, *m.MessageID, *m.PopReceipt, *m.MessageText, &azqueue.UpdateMessageOptions{VisibilityTimeout: new(int32(retryAfter / time.Second))})
}
