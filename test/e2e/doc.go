// Package e2e holds the end-to-end tests: a running handler, or all of `go run ./local`, seen only from outside, the way
// callers, consumers of the topic, the Functions host and operators see it.
package e2e
