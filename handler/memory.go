package main

import "runtime/debug"

const (
	// The collector runs when the heap has grown to five times the live heap, which is some 8 MB under load. With Go's
	// default of twice the live heap it ran dozens of times a second and used a tenth of the processor time
	// (docs/benchmarks.md).
	gcPercent = 400
	// Above this limit the collector runs more often. The smallest instance has 512 MB, and the host needs most of it.
	memoryLimit = 128 << 20 // bytes
)

// tuneMemory sets the garbage collector's targets, except those that the environment sets (GOGC, GOMEMLIMIT; see the
// package runtime).
func tuneMemory(vars variables) {
	if vars.exact["GOGC"] == "" {
		debug.SetGCPercent(gcPercent)
	}
	if vars.exact["GOMEMLIMIT"] == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
