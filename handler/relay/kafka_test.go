package relay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
	"userrelay/handler/trace"
)

// kafka is a producer and an observer that record their calls. The producer goes on after its caller has given up.
type kafka struct {
	answers func(registration.Record) answer
	checks  func(ctx context.Context) error // nil: they succeed

	mu      sync.Mutex
	tries   []registration.Record // that were to be sent
	topic   []registration.Record // that are stored
	sent    []delivery.SendAttempt
	puts    []delivery.PutAttempt
	reports []report
}

// report is a call of the observer.
type report struct {
	call  string          // its name, and a class, a time or a number that it was told
	op    trace.Operation // within which it was made
	event registration.Event
	md    delivery.RecordMetadata
	err   error
}

func (k *kafka) note(ctx context.Context, r report) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.op = trace.FromContext(ctx)
	k.reports = append(k.reports, r)
}

func (k *kafka) tell(ctx context.Context, call ...any) {
	k.note(ctx, report{call: fmt.Sprint(call...)})
}

func (k *kafka) Produce(ctx context.Context, r registration.Record) (delivery.RecordMetadata, error) {
	k.tell(ctx, "Produce")
	var md delivery.RecordMetadata
	k.mu.Lock()
	a := k.answers(r)
	k.tries = append(k.tries, r)
	if a.err == nil {
		k.topic = append(k.topic, r)
		md = stored(int64(len(k.topic)))
	}
	k.mu.Unlock()
	due := time.Now().Add(a.takes)
	switch {
	case errors.Is(a.err, errUnsent):
		<-ctx.Done()
		return md, fails(delivery.Unavailable)
	case a.takes > 0 && !until(ctx, due):
	case errors.Is(a.err, errPanic):
		panic(a.err)
	default:
		return md, a.err
	}
	late := func(ctx context.Context) (delivery.RecordMetadata, error) {
		if a.takes < forever {
			limit, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			ctx = limit
		}
		if !until(ctx, due) {
			return delivery.RecordMetadata{}, fails(delivery.UnknownOutcome)
		}
		return md, a.err
	}
	return delivery.RecordMetadata{}, &delivery.Error{Class: delivery.UnknownOutcome, Op: "wait", Late: late}
}

// until waits for a time, and says whether it came before the end of ctx.
func until(ctx context.Context, due time.Time) bool {
	limit, cancel := context.WithDeadline(ctx, due)
	defer cancel()
	<-limit.Done()
	return !time.Now().Before(due)
}

func (k *kafka) Check(ctx context.Context) error {
	if k.checks == nil {
		return nil
	}
	return k.checks(ctx)
}

func (k *kafka) Received(ctx context.Context, e registration.Event) {
	k.note(ctx, report{call: "Received", event: e})
}

func (k *kafka) Forwarded(ctx context.Context, e registration.Event, md delivery.RecordMetadata) {
	k.note(ctx, report{call: "Forwarded", event: e, md: md})
}

func (k *kafka) Refused(ctx context.Context, e registration.Event, err error) {
	k.note(ctx, report{call: "Refused", event: e, err: err})
}

func (k *kafka) Sent(ctx context.Context, a delivery.SendAttempt) {
	k.tell(ctx, "Sent")
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sent = append(k.sent, a)
}

func (k *kafka) Put(ctx context.Context, a delivery.PutAttempt) {
	k.tell(ctx, "Put")
	k.mu.Lock()
	defer k.mu.Unlock()
	k.puts = append(k.puts, a)
}

func (k *kafka) Drained(ctx context.Context, _ registration.Event, _ delivery.RecordMetadata, queued time.Duration) {
	k.tell(ctx, "Drained:", queued)
}

func (k *kafka) NotDrained(ctx context.Context, _ registration.Event, err error) {
	k.tell(ctx, "NotDrained:", delivery.ClassOf(err))
}

func (k *kafka) Outboxed(ctx context.Context, _ registration.Event, err error) {
	k.tell(ctx, "Outboxed:", delivery.ClassOf(err))
}

func (k *kafka) Withdrawn(ctx context.Context, _ registration.Event, _ delivery.RecordMetadata) {
	k.tell(ctx, "Withdrawn")
}

func (k *kafka) Poisoned(ctx context.Context, _ registration.Event, p delivery.Poisoned) {
	k.tell(ctx, "Poisoned:", p.Class)
}

func (k *kafka) Resumed(ctx context.Context, away time.Duration, n int) {
	k.tell(ctx, "Resumed:", away, ",", n)
}

func (k *kafka) Diverted(ctx context.Context)        { k.tell(ctx, "Diverted") }
func (k *kafka) Emptied(ctx context.Context)         { k.tell(ctx, "Emptied") }
func (k *kafka) Unread(ctx context.Context, _ error) { k.tell(ctx, "Unread") }
func (k *kafka) Read(ctx context.Context)            { k.tell(ctx, "Read") }

// now changes the answers.
func (k *kafka) now(answers func(registration.Record) answer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answers = answers
}

// calls are the calls so far, in their order.
func (k *kafka) calls() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []string
	for _, r := range k.reports {
		all = append(all, r.call)
	}
	return strings.Join(all, " ")
}

// last is the newest call.
func (k *kafka) last() report {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reports[len(k.reports)-1]
}

// count is the number of calls that begin so, n the number of records in the topic.
func (k *kafka) count(beginning string) int { return strings.Count(" "+k.calls(), " "+beginning) }

func (k *kafka) n() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.topic)
}

// perUser counts records by user.
func (k *kafka) perUser(records *[]registration.Record) map[string]int {
	k.mu.Lock()
	defer k.mu.Unlock()
	users := map[string]int{}
	for _, r := range *records {
		users[string(r.Key)]++
	}
	return users
}
