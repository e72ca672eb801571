package kafka_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/test/kafka/ledger"
)

// TestRates puts a producer under load while nothing can be stored, and counts the requests to the broker and the log
// lines. Without limits there would be thousands.
func TestRates(t *testing.T) {
	t.Parallel()
	const (
		window   = 1500 * time.Millisecond
		requests = 60 // per second, of all kinds, for one partition
		logged   = 3  // lines
	)
	always := func(code int16, keys ...kmsg.Key) func(*testing.T, *kfake.Cluster) {
		return func(t *testing.T, c *kfake.Cluster) {
			t.Helper()
			f := faultOf(code, -1)
			if f.Keys = keys; keys[0] == kmsg.InitProducerID {
				f.Topic = ""
			}
			t.Cleanup(c.Fault(f).Remove)
		}
	}
	deleteTopic := func(t *testing.T, c *kfake.Cluster) {
		t.Helper()
		t.Cleanup(func() { // without it, what became of some records would stay unknown to the producer for long
			if err := c.CreateTopic(topic, 1, nil); err != nil {
				t.Error(err)
			}
		})
		if err := c.DeleteTopic(topic); err != nil {
			t.Fatal(err)
		}
	}
	noLogin := func(c *kafka.Config) { c.SASL = kafka.Plain("admin", "wrong") }
	for name, c := range map[string]struct {
		opts  []kfake.Opt
		edit  func(*kafka.Config)
		begin func(*testing.T, *kfake.Cluster) // before the producer starts
		spoil func(*testing.T, *kfake.Cluster) // after a record was stored
		class delivery.Class                   // of the errors; a caller may also give up while its record is on the wire
	}{
		"no such topic":            {begin: deleteTopic, class: delivery.UnknownTopic},
		"topic deleted":            {spoil: deleteTopic, class: delivery.UnknownTopic},
		"topic not to be seen":     {begin: always(29, kmsg.Metadata), class: delivery.NotAuthorized},
		"topic not to be written":  {spoil: always(29, kmsg.Produce), class: delivery.NotAuthorized},
		"no right to an id":        {begin: always(31, kmsg.InitProducerID), class: delivery.NotAuthorized},
		"wrong password":           {opts: []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("PLAIN", "admin", "right")}, edit: noLogin, class: delivery.Unavailable},
		"throttled":                {spoil: always(44, kmsg.Produce), class: delivery.Throttled},
		"never the right leader":   {spoil: always(6, kmsg.Produce), class: delivery.Unavailable},
		"too few replicas":         {spoil: always(19, kmsg.Produce), class: delivery.Unavailable},
		"never sure of a batch":    {spoil: always(20, kmsg.Produce), class: delivery.Unavailable},
		"out of order":             {spoil: always(45, kmsg.Produce), class: delivery.Unavailable},
		"no producer ids for long": {begin: always(14, kmsg.InitProducerID), class: delivery.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBroker(t, c.opts...)
			if c.begin != nil {
				c.begin(t, b)
			}
			var log lines
			edits := []func(*kafka.Config){logTo(&log)}
			if c.edit != nil {
				edits = append(edits, c.edit)
			}
			p := newProducer(t, b.ListenAddrs(), edits...)
			if c.spoil != nil {
				produce(t, p, "before")
				c.spoil(t, b)
			}
			classes := underLoad(t, p, 700*time.Millisecond) // it begins
			before := countRequests(b)
			for class, n := range underLoad(t, p, window) {
				classes[class] += n
			}
			perSecond := float64(before.all()) / window.Seconds()
			t.Logf("%.0f requests/s, callers were told %v, %d lines:\n%s", perSecond, classes, len(log.all()), log.all())
			if perSecond > requests {
				t.Errorf("%.0f requests per second, want at most %d", perSecond, requests)
			}
			if n := len(log.all()); n > logged {
				t.Errorf("%d lines were logged, want at most %d", n, logged)
			}
			if classes[c.class] == 0 || classes[stored] != 0 {
				t.Errorf("callers were told %v, want %q", classes, c.class)
			}
		})
	}
}

// underLoad has 20 callers produce for a time, each a record every 5 ms with a time limit of 300 ms. It returns the
// number of results of each kind.
func underLoad(t *testing.T, p *kafka.Producer, d time.Duration) map[delivery.Class]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var mu sync.Mutex
	told := map[delivery.Class]int{}
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 300*time.Millisecond)
				_, err := p.Produce(limit, ledger.Record(fmt.Sprint(i, "-", n)))
				cancel()
				mu.Lock()
				told[delivery.ClassOf(err)]++
				mu.Unlock()
				<-tick.C
			}
		})
	}
	callers.Wait()
	return told
}
