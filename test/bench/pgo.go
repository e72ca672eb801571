package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"userrelay/test/bench/report"
	"userrelay/test/machine"
)

// profile puts the benchmark's load on the handler with telemetry, and writes a CPU profile for profile-guided
// optimisation, with its origin in a text file next to it.
func (b *bench) profile(ctx context.Context) error {
	if err := b.goTool(ctx, "build", "-o", b.program("broker"), "userrelay/test/bench/broker"); err != nil {
		return err
	}
	if err := b.goTool(ctx, "test", "-c", "-tags=pgo", "-o", b.program("handler"), "userrelay/handler"); err != nil {
		return err
	}
	file := filepath.Join(b.dir, "cpu.pprof")
	b.handlerArgs = []string{"-test.run=^TestServe$", "-test.timeout=0", "-test.cpuprofile=" + file}
	s := &stage{bench: b, rounds: 1, Stage: report.Stage{Title: "Profile", Relays: []report.Relay{report.Telemetry}, Cells: cells(b.callers)}}
	if err := s.run(ctx); err != nil {
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
		b.each, runtime.Version(), time.Now().UTC().Format("2 January 2006"), machine.Words())
	for name, content := range map[string][]byte{b.pgo: found, b.pgo + ".txt": []byte(origin)} {
		if err := os.WriteFile(name, content, 0o644); err != nil { //nolint:gosec // G306: for everybody
			return fmt.Errorf("write the profile: %w", err)
		}
	}
	return nil
}
