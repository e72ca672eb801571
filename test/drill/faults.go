package main

import (
	"context"
	"errors"
	"time"

	"userrelay/local/realkafka"
	"userrelay/test/drill/audit"
	"userrelay/test/drill/report"
	"userrelay/test/faultproxy"
)

// faults makes faults between handler and Kafka.
func faults(ctx context.Context, r *rig, row *report.Row) (err error) {
	s, err := r.stand(ctx, standOptions{
		brokers: r.cluster.Bootstrap(realkafka.SASLPlaintext),
		env: []string{
			"KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM=PLAIN",
			"KAFKA_SASL_USERNAME=" + realkafka.User, "KAFKA_SASL_PASSWORD=" + realkafka.Password,
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	for _, f := range []struct {
		name   string
		faults faultproxy.Faults
	}{
		{"late answers", faultproxy.Faults{Delay: 200 * time.Millisecond}},
		{"resets", faultproxy.Faults{Reset: true, Rules: []faultproxy.Rule{{
			Key: faultproxy.Produce, Share: 0.05, Do: []faultproxy.Action{faultproxy.CutBefore, faultproxy.CutAfter, faultproxy.CutOnAnswer},
		}}}},
		{"nothing passes", faultproxy.Faults{BlackHole: true}},
		{"byte by byte", faultproxy.Faults{DripEvery: 10 * time.Millisecond}},
	} {
		r.say("  %s", f.name)
		from, to, before := time.Now(), time.Time{}, r.proxy.Stats()
		err := s.load.during(ctx, r.plan.callers, func(ctx context.Context) error {
			if err := r.proxy.SetFaults(f.faults); err != nil { //nolint:contextcheck // the connections of a proxy have a life of their own
				return err
			}
			err := pause(ctx, r.plan.fault)
			to = time.Now()
			return errors.Join(err, r.proxy.SetFaults(faultproxy.Faults{}), pause(ctx, r.plan.between)) //nolint:contextcheck // the connections of a proxy have a life of their own
		})
		if err != nil {
			return err
		}
		during := s.load.since(from, to)
		row.Time(f.name+": slowest answer", audit.Percentile(during, 1), slowestAnswer)
		row.Note("%s: %d events, median %s, 99 %% in %s; %d of %d produce requests were cut.", f.name, len(during),
			report.Span(audit.Percentile(during, 0.5)), report.Span(audit.Percentile(during, 0.99)),
			r.proxy.Stats().Cuts()-before.Cuts(), r.proxy.Stats().Requests[faultproxy.Produce]-before.Requests[faultproxy.Produce])
	}
	rep, err := s.audit(ctx, row, s.load, r.plan.drain)
	if err != nil {
		return err
	}
	row.Count("events not answered 2xx", rep.Not2xx(), 0)
	row.Count("copies", rep.Copies, 0)
	row.AtLeast("produce requests that were cut", r.proxy.Stats().Cuts(), 1)
	return nil
}
