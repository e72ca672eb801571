package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"userrelay/test/bench/report"
	"userrelay/test/machine"
)

// profile puts the benchmark's load on the handler with telemetry, and writes a CPU profile for profile-guided
// optimisation, with its origin in a text file next to it.
func profile(ctx context.Context, o options, dir string, progress io.Writer) error {
	b := &bench{plan: full(o), dir: dir, progress: progress}
	file := filepath.Join(dir, "cpu.pprof")
	b.plan.handlerArgs = []string{"-test.run=^TestServe$", "-test.timeout=0", "-test.cpuprofile=" + file}
	b.say("building the handler and what loads it")
	for _, args := range [][]string{
		{"build", "-o", dir + string(filepath.Separator), "userrelay/test/bench/broker"},
		{"test", "-c", "-tags=pgo", "-o", b.program("handler"), "userrelay/handler"},
	} {
		if err := compile(ctx, args); err != nil {
			return err
		}
	}
	s := &stage{
		bench: b,
		Stage: report.Stage{ID: report.InProcess, Title: "Profile", Relays: []report.Relay{report.Telemetry}},
		start: b.kfake(0), loads: b.plan.callerLoads(), rounds: 1, each: o.each, trim: true,
	}
	if _, err := s.run(ctx); err != nil {
		return err
	}
	found, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the profile: %w", err)
	}
	origin := fmt.Sprintf("default.pgo is where the handler spends its processor time: %v each with 1, 16, 64 and 256 callers,\n"+
		"telemetry on, against the benchmark's in-process broker. Go reads it when it builds the handler.\n"+
		"`make pgo` made it with %s on %s, %s.\n"+
		"Make it anew when the way of a registration has changed.\n",
		o.each, runtime.Version(), time.Now().UTC().Format("2 January 2006"), machine.Words())
	for name, content := range map[string][]byte{o.pgo: found, o.pgo + ".txt": []byte(origin)} {
		if err := os.WriteFile(name, content, 0o644); err != nil { //nolint:gosec // G306: for everybody
			return fmt.Errorf("write the profile: %w", err)
		}
	}
	return nil
}
