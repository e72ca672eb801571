// Package e2e has the end-to-end tests: a running handler, or `go run ./local`, observed from outside like callers,
// consumers of the topic, the Functions host and operators do.
package e2e
