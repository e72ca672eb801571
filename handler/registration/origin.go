package registration

import (
	"errors"
	"slices"
	"strings"
)

// Origin is where a registration was accepted, and for which Kafka. Apps can share a storage account, and so the
// outbox: a message must not be stored in the Kafka of another app.
type Origin struct {
	App     string   // the function app, with its slot; "" outside of Azure
	Topic   string   // "" in messages of versions that did not write it
	Brokers []string // host:port
}

// ErrForeign says that a message of the outbox is Foreign.
var ErrForeign = errors.New("it is the message of another app that uses another Kafka (docs/runbook.md, The outbox grows)")

// maxOriginBrokers limits how many brokers a message names. One in common is enough to recognise a cluster.
const maxOriginBrokers = 8

// Foreign says that a message of origin o belongs to another app that uses another Kafka. An app that has changed its
// settings drains its old messages with the new ones, and an app that replaces another one at the same Kafka drains
// what that one has left.
func (o Origin) Foreign(to Origin) bool {
	if o.Topic == "" || strings.EqualFold(o.App, to.App) {
		return false
	}
	return o.Topic != to.Topic || !slices.ContainsFunc(o.Brokers, func(b string) bool {
		return slices.ContainsFunc(to.Brokers, func(t string) bool { return strings.EqualFold(b, t) })
	})
}

func (o Origin) brokers() string {
	return strings.Join(o.Brokers[:min(len(o.Brokers), maxOriginBrokers)], ",")
}

func originOf(app, topic, brokers string) Origin {
	o := Origin{App: app, Topic: topic}
	if brokers != "" {
		o.Brokers = strings.Split(brokers, ",")
	}
	return o
}
