package diagnose

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/protocol/describeconfigs"

	"userrelay/handler/kafka"
	"userrelay/handler/kafka/wire"
	"userrelay/handler/registration"
)

// The part of the topic's configuration that decides whether records are stored, and kept.
const (
	ruleInSync     = "min.insync.replicas"
	ruleSize       = "max.message.bytes"
	ruleClock      = "message.timestamp.type"
	ruleBefore     = "message.timestamp.before.max.ms"
	ruleAfter      = "message.timestamp.after.max.ms"
	ruleDifference = "message.timestamp.difference.max.ms" // before Kafka 3.6, both ways
	ruleKeys       = "confluent.key.schema.validation"
	ruleValues     = "confluent.value.schema.validation"
)

// rules examines the topic's configuration.
func (d *diagnosis) rules(ctx context.Context) {
	rules, err := d.configuration(ctx)
	if err != nil {
		d.copies(0)
		d.sayTopic(Warning, "its configuration cannot be read (that needs DESCRIBE_CONFIGS): see that its %s is %d at least, and its %s 2",
			ruleSize, registration.MaxRecord, ruleInSync)
		return
	}
	insync, _ := number(rules[ruleInSync])
	d.copies(insync)
	d.sizes(rules)
	d.clock(rules)
	for _, name := range []string{ruleKeys, ruleValues} {
		if rules[name] == "true" {
			d.sayTopic(Failure, "its rule %s is on: it accepts only what a schema registry knows, and refuses every record of this program. Switch it off", name)
		}
	}
}

// configuration returns the topic's configuration from the broker.
func (d *diagnosis) configuration(ctx context.Context) (map[string]string, error) {
	const ofTopic = 2 // resource type
	rules := map[string]string{}
	err := d.cluster.With(ctx, d.asked, func(l *wire.Conn, deadline time.Time) error {
		r, err := wire.Exchange[*describeconfigs.Response](l, deadline, &describeconfigs.Request{Resources: []describeconfigs.RequestResource{{
			ResourceType: ofTopic, ResourceName: d.config.Topic,
			ConfigNames: []string{ruleInSync, ruleSize, ruleClock, ruleBefore, ruleAfter, ruleDifference, ruleKeys, ruleValues},
		}}})
		if err != nil {
			return err
		}
		for _, resource := range r.Resources {
			if resource.ErrorCode != 0 {
				return wire.Code(resource.ErrorCode)
			}
			for _, e := range resource.ConfigEntries {
				rules[e.ConfigName] = e.ConfigValue
			}
		}
		return nil
	})
	if err == nil && rules[ruleInSync] == "" {
		err = errors.New("the broker does not tell it")
	}
	return rules, err
}

// number reads a numeric rule.
func number(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}

// copies reports how many copies of a record exist when acks=all is answered: min.insync.replicas, but not more than
// there are replicas. insync is 0 if unknown.
func (d *diagnosis) copies(insync int) {
	replicas := math.MaxInt
	var few, scarce []int32
	for i, q := range d.view.Partitions {
		n := len(q.Replicas)
		replicas = min(replicas, n)
		switch need := min(insync, n); {
		case q.Leader < 0, q.InSync >= n, q.InSync > need: // a missing leader is reported already
		case q.InSync < need:
			few = append(few, int32(i))
		case q.InSync == need:
			scarce = append(scarce, int32(i))
		}
	}
	if len(few) > 0 {
		d.sayTopic(Failure, "%s fewer replicas in sync than %s (%d), and no record can be stored there: start the brokers that are down, or see why they lag",
			listed("partition", few, "has", "have"), ruleInSync, insync)
	}
	if insync > 1 && len(scarce) > 0 {
		d.sayTopic(Warning, "%s just as many replicas in sync as %s (%d) wants: with one fewer, no record can be stored there. Start the brokers that are down, or see why they lag",
			listed("partition", scarce, "has", "have"), ruleInSync, insync)
	}
	if insync > replicas {
		d.sayTopic(Warning, "its %s (%d) is above the number of its replicas (%d): older brokers refuse every record then. Give it more replicas, or set the rule lower",
			ruleInSync, insync, replicas)
	}
	const one = "acks=all means one copy: "
	switch {
	case replicas <= 1:
		d.sayTopic(Warning, one+"the topic has one replica, and losing its broker loses acknowledged records. "+
			"Give it 3 replicas and %s=2; a managed service may hide copies of its own", ruleInSync)
	case insync == 1:
		d.sayTopic(Warning, one+"the topic has %d replicas, but %s is 1, so that a leader alone may acknowledge a record. Set it to 2", replicas, ruleInSync)
	case insync > 1:
		d.sayTopic(Good, "acks=all means at least %d copies: %d replicas, %s %d", min(insync, replicas), replicas, ruleInSync, insync)
	}
}

// sizes reports whether a registration fits.
func (d *diagnosis) sizes(rules map[string]string) {
	limit, ok := number(rules[ruleSize])
	if !ok {
		return
	}
	const longestID = 1024
	ordinary, longest := smallest("auth0|"+strings.Repeat("0", 24)), smallest(strings.Repeat("x", longestID))
	switch {
	case limit < ordinary:
		d.sayTopic(Failure, "it accepts no registration: its %s is %d, and one with the user id alone needs about %d. Set it to %d at least",
			ruleSize, limit, ordinary, registration.MaxRecord)
	case limit < longest:
		d.sayTopic(Warning, "its %s is %d: registrations with a long user id, which need up to %d, stay in the outbox. Set it to %d at least",
			ruleSize, limit, longest, registration.MaxRecord)
	case d.config.Profiles && limit < registration.MaxRecord:
		d.sayTopic(Warning, "its %s is %d, and with RECORD_PROFILE=full records need up to %d: from larger ones the profile is left out",
			ruleSize, limit, registration.MaxRecord)
	}
}

// smallest returns the size of a registration without a profile in a partition, in bytes.
func smallest(userID string) int {
	e := registration.Event{ID: registration.DeriveID("", userID, ""), UserID: userID, Source: "urn:auth0:a-tenant-of-mine", Time: time.Unix(0, 1)}
	r := e.Record(registration.Header{Key: "traceparent", Value: "00-" + strings.Repeat("0", 32) + "-" + strings.Repeat("0", 16) + "-00"})
	return kafka.BatchSize(r)
}

// clock reports whether the topic refuses records from a machine whose clock is slightly wrong.
func (d *diagnosis) clock(rules map[string]string) {
	const least = time.Hour
	if rules[ruleClock] == "LogAppendTime" { // the broker's own clock counts
		return
	}
	for _, rule := range []struct{ name, than string }{
		{ruleBefore, "behind"}, {ruleAfter, "ahead of"}, {ruleDifference, "behind or ahead of"},
	} {
		ms, ok := number(rules[rule.name])
		if !ok || ms >= int(least.Milliseconds()) {
			continue
		}
		d.sayTopic(Warning, "its %s is %v: where this machine's clock is more than that %s the broker's, every record is refused. "+
			"The clock shows %s; compare it with the broker's, or set the rule to an hour at least",
			rule.name, time.Duration(ms)*time.Millisecond, rule.than, time.Now().UTC().Format(time.RFC3339))
	}
}
