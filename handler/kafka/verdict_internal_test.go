package kafka

import (
	"slices"
	"strconv"
	"testing"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka/wire"
	"userrelay/handler/registration"
)

// TestVerdicts is the table of verdicts for answers. "again" means that the same bytes are sent again.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	const (
		unavailable = delivery.Unavailable
		unclear     = delivery.UnknownOutcome
	)
	type end struct {
		verdict verdict
		class   delivery.Class // where the verdict is failed
	}
	again, back, done, halves := end{verdict: unknown}, end{verdict: requeue}, end{verdict: stored}, end{verdict: bisect}
	give := func(c delivery.Class) end { return end{failed, c} }
	for _, c := range []struct {
		code  int16
		class delivery.Class // of the code itself
		first end            // no earlier attempt may have stored it
		many  end            // the same, for a batch of several records
		later end            // an earlier attempt may have stored it
		plain end            // the first, of a producer without an id
	}{
		{0, unclear, done, done, done, done},
		{46, unclear, done, done, done, done}, // the broker has the batch
		// Certainly not stored, and it may succeed soon.
		{2, unavailable, back, back, again, back},
		{9, unavailable, back, back, again, back},
		{14, unavailable, back, back, again, back},
		{19, unavailable, back, back, again, back},
		// Perhaps stored.
		{3, delivery.UnknownTopic, again, again, again, give(unclear)},
		{5, unavailable, again, again, again, give(unclear)},
		{6, unavailable, again, again, again, give(unclear)},
		{8, unavailable, again, again, again, give(unclear)},
		{74, unavailable, again, again, again, give(unclear)},
		{75, unavailable, again, again, again, give(unclear)},
		{-1, unclear, again, again, again, give(unclear)},
		{7, unclear, again, again, again, give(unclear)},
		{13, unclear, again, again, again, give(unclear)},
		{20, unclear, again, again, again, give(unclear)},
		{56, unclear, again, again, again, give(unclear)},
		// The producer id cannot be used any more.
		{45, unclear, back, back, give(unclear), back},
		{47, unclear, back, back, give(unclear), back},
		{59, unclear, back, back, give(unclear), back},
		{90, unclear, back, back, give(unclear), back},
		// A quota is used up. That is temporary, but callers need not wait for it.
		{44, delivery.Throttled, give(delivery.Throttled), give(delivery.Throttled), again, give(delivery.Throttled)},
		{89, delivery.Throttled, give(delivery.Throttled), give(delivery.Throttled), again, give(delivery.Throttled)},
		// Perhaps caused by one record.
		{10, delivery.TooLarge, give(delivery.TooLarge), halves, again, give(delivery.TooLarge)},
		{18, delivery.TooLarge, give(delivery.TooLarge), halves, again, give(delivery.TooLarge)},
		{87, delivery.Invalid, give(delivery.TopicRule), halves, again, give(delivery.TopicRule)},
		// This machine's clock, for all records of the batch.
		{32, delivery.TopicRule, give(delivery.TopicRule), give(delivery.TopicRule), again, give(delivery.TopicRule)},
		// Repeating does not help.
		{17, delivery.UnknownTopic, give(delivery.UnknownTopic), give(delivery.UnknownTopic), again, give(delivery.UnknownTopic)},
		{29, delivery.NotAuthorized, give(delivery.NotAuthorized), give(delivery.NotAuthorized), again, give(delivery.NotAuthorized)},
		{31, delivery.NotAuthorized, give(delivery.NotAuthorized), give(delivery.NotAuthorized), again, give(delivery.NotAuthorized)},
		{58, delivery.NotAuthorized, give(delivery.NotAuthorized), give(delivery.NotAuthorized), again, give(delivery.NotAuthorized)},
		{42, delivery.Fatal, give(delivery.Fatal), give(delivery.Fatal), again, give(delivery.Fatal)},
		// An unknown code leaves the outcome open.
		{999, unclear, again, again, again, give(unclear)},
	} {
		t.Run(strconv.Itoa(int(c.code)), func(t *testing.T) {
			t.Parallel()
			answer := wire.Code(c.code)
			if got := wire.RowOf(answer).Class; got != c.class {
				t.Errorf("class = %q, want %q", got, c.class)
			}
			for name, attempt := range map[string]struct {
				records    int
				maybe      bool
				idempotent bool
				want       end
			}{
				"first":                 {1, false, true, c.first},
				"first of several":      {2, false, true, c.many},
				"after an unknown one":  {1, true, true, c.later},
				"the same, of several":  {2, true, true, c.later},
				"without a producer id": {1, false, false, c.plain},
			} {
				b := batch{items: make([]*item, attempt.records), maybe: attempt.maybe}
				b.judge(answer, attempt.idempotent, false)
				if got := (end{b.verdict, b.class}); got != attempt.want {
					t.Errorf("%s: %+v, want %+v", name, got, attempt.want)
				}
				if attempt.maybe && !b.maybe {
					t.Errorf("%s: that it may be stored is forgotten", name)
				}
			}
		})
	}
}

// TestUnanswered has batches without an answer. An attempt that sent nothing leaves open what earlier ones did.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, maybe, idempotent bool
		want                      verdict
	}{
		{false, false, true, requeue}, {false, false, false, requeue}, {true, false, true, unknown}, {false, true, true, unknown}, {false, true, false, failed},
	} {
		b := batch{items: make([]*item, 1), maybe: c.before}
		if b.unanswered(c.maybe, c.idempotent); b.verdict != c.want || b.verdict == failed && b.class != delivery.UnknownOutcome {
			t.Errorf("%+v: verdict = %v, class %q", c, b.verdict, b.class)
		}
	}
}

// A broker that already has a batch may not know its offset any more.
func TestOffsets(t *testing.T) {
	t.Parallel()
	for base, want := range map[int64][]int64{40: {40, 41, 42}, -1: {-1, -1, -1}} {
		items := itemsOf(make([]registration.Record, len(want)))
		(&Producer{}).finish(&batch{verdict: stored, base: base, items: slices.Clone(items)})
		for i, it := range items {
			if got := (<-it.done).metadata.Offset; got != want[i] {
				t.Errorf("base %d, record %d: offset %d", base, i, got)
			}
		}
	}
}

func TestKnowsEventHubs(t *testing.T) {
	t.Parallel()
	for broker, want := range map[string]bool{
		"ns.servicebus.windows.net:9093":         true,
		"NS.ServiceBus.Windows.Net:9093":         true,
		"ns.servicebus.usgovcloudapi.net:9093":   true,
		"ns.servicebus.chinacloudapi.cn:9093":    true,
		"ns.servicebus.windows.net.example:9093": false,
		"servicebus.windows.net.evil.com:9093":   false,
		"127.0.0.1:9092":                         false,
	} {
		p := newProducer(Config{Brokers: []string{"kafka-0:9092", broker}, Topic: "t"})
		p.letGo()
		if got := p.attemptTimeout == eventHubsAttemptTimeout && p.brokerTimeout == eventHubsBrokerTimeout; got != want {
			t.Errorf("%s: Event Hubs: %v, want %v", broker, got, want)
		}
		if p.brokerTimeout >= p.attemptTimeout {
			t.Errorf("%s: the broker may take %v, an attempt %v", broker, p.brokerTimeout, p.attemptTimeout)
		}
	}
}
