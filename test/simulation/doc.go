// Package simulation runs the handler with brokers, queue, host and callers in one process and in virtual time, under a
// schedule of faults that a seed makes, and then judges whether it kept its promises (docs/guarantees.md).
//
// A Plan is all that happens besides the handler: what there is, who calls, and what goes wrong when. The same plan is the
// same run. Run must be called in a bubble of testing/synctest.
package simulation
