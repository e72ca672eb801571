package main

import "runtime/debug"

const (
	// The collector runs when the heap has grown to five times what is in use. That is some 8 MB under load: with Go's own
	// target of twice as much it ran dozens of times a second, for a tenth of the processor time (docs/benchmarks.md).
	gcPercent = 400
	// From here on the collector works harder instead. The smallest instance has 512 MB, which the host needs most of.
	memoryLimit = 128 << 20 // bytes
)

// tuneMemory sets the garbage collector's targets, but for those that the environment sets (GOGC, GOMEMLIMIT; see the
// package runtime).
func tuneMemory(vars variables) {
	if vars.exact["GOGC"] == "" {
		debug.SetGCPercent(gcPercent)
	}
	if vars.exact["GOMEMLIMIT"] == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
