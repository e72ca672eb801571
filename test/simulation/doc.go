// Package simulation runs the handler with brokers, queue, host and callers in one process and in virtual time, under
// a schedule of faults that is generated from a seed, and then judges whether the handler kept its promises
// (docs/guarantees.md).
//
// A Plan describes everything outside of the handler: the setup, the callers, and the faults with their times. The
// same plan gives the same run. Run must be called in a bubble of testing/synctest.
package simulation
