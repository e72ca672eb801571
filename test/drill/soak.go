package main

import (
	"context"
	"errors"
	"time"

	"userrelay/test/child"
	"userrelay/test/drill/audit"
	"userrelay/test/drill/report"
)

const (
	soakRate   = 500              // requests a second
	warmUp     = 2 * time.Minute  // of memory: caches, pools and the collector's pace
	mostGrowth = 1                // MiB an hour
	longEnough = 10 * time.Minute // to say how memory grows in an hour
	soakFiles  = 20               // more than after the warm-up
)

// sample is the handler's resource usage at a time.
type sample struct {
	at time.Duration
	child.Usage
}

// soak runs a steady load for a long time.
func soak(ctx context.Context, r *rig, row *report.Row) (err error) {
	s, err := r.stand(ctx, standOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	var samples []sample
	start := time.Now()
	err = s.load.atRate(ctx, soakRate, func(ctx context.Context) error {
		for told := start; time.Since(start) < r.soak; {
			if err := pause(ctx, time.Second); err != nil {
				return err
			}
			if u := child.UsageOf(s.pid()); u.Known && time.Since(start) > min(warmUp, r.soak/2) {
				samples = append(samples, sample{time.Since(start), u})
			}
			if time.Since(told) >= time.Minute {
				r.say("  %d events answered 2xx; %s", s.load.stored.Load(), child.UsageOf(s.pid()))
				told = time.Now()
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	rep, err := s.audit(ctx, row, s.load, r.plan.drain)
	if err != nil {
		return err
	}
	row.Count("events not answered 2xx", rep.Not2xx(), 0)
	row.Count("copies", rep.Copies, 0)
	row.Note("%d requests a second for %s: median answer %s, 99 %% in %s.", soakRate, report.Span(r.soak),
		report.Span(audit.Percentile(s.load.all(), 0.5)), report.Span(audit.Percentile(s.load.all(), 0.99)))
	if len(samples) < 2 {
		row.Note("Memory and descriptors are not measured: not on Linux, or the run was too short.")
		return nil
	}
	first, last := samples[0], samples[len(samples)-1]
	row.Note("The handler had %s after the warm-up, and %s at the end.", first.Usage, last.Usage)
	most := 0
	for _, x := range samples {
		most = max(most, x.Files-first.Files)
	}
	row.Count("more descriptors than after the warm-up", most, soakFiles)
	if r.soak < longEnough {
		row.Note("Growth of memory: not judged in less than %s.", report.Span(longEnough))
		return nil
	}
	row.Size("growth of memory in an hour", max(0, slope(samples)), mostGrowth)
	return nil
}

// slope is the growth of memory in MiB an hour, by least squares.
func slope(samples []sample) float64 {
	var n, sumX, sumY, sumXX, sumXY float64
	for _, s := range samples {
		x, y := s.at.Hours(), s.MiB
		n, sumX, sumY, sumXX, sumXY = n+1, sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	return (n*sumXY - sumX*sumY) / (n*sumXX - sumX*sumX)
}
