package main

import (
	"context"
	"slices"
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
func soak(ctx context.Context, s *stand, row *report.Row) error {
	var samples []sample
	start := time.Now()
	err := s.atRate(ctx, soakRate, func(ctx context.Context) error {
		for told := start; time.Since(start) < s.soak; {
			if err := pause(ctx, time.Second); err != nil {
				return err
			}
			u := child.UsageOf(s.pid())
			if u.Known && time.Since(start) > min(warmUp, s.soak/2) {
				samples = append(samples, sample{time.Since(start), u})
			}
			if time.Since(told) >= time.Minute {
				s.say("  %d events answered 2xx; %s", s.stored.Load(), u)
				told = time.Now()
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.audit(ctx, row, s.plan.drain); err != nil {
		return err
	}
	row.Count("events not answered 2xx", row.Sum.Not2xx(), 0)
	row.Count("copies", row.Sum.Copies, 0)
	row.Note("%d requests a second for %s: median answer %s, 99 %% in %s.", soakRate, report.Span(s.soak),
		report.Span(audit.Percentile(s.all(), 0.5)), report.Span(audit.Percentile(s.all(), 0.99)))
	if len(samples) < 2 {
		row.Note("Memory and descriptors are not measured: not on Linux, or the run was too short.")
		return nil
	}
	first, last := samples[0], samples[len(samples)-1]
	row.Note("The handler had %s after the warm-up, and %s at the end.", first.Usage, last.Usage)
	most := slices.MaxFunc(samples, func(a, b sample) int { return a.Files - b.Files })
	row.Count("more descriptors than after the warm-up", most.Files-first.Files, soakFiles)
	if s.soak >= longEnough {
		row.Size("growth of memory in an hour", max(0, slope(samples)), mostGrowth)
	}
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
