package main

import (
	"context"
	"errors"
	"os/exec"
	"time"
)

// interrupted says that an error is only a consequence of the requested end. Ctrl-C goes to this process and its children
// at once: if a child has ended, the end of ctx may still be to come.
func interrupted(ctx context.Context, err error) bool {
	const moment = time.Second
	if !consequence(err) {
		return false
	}
	select {
	case <-ctx.Done():
		return true
	case <-time.After(moment):
		return false
	}
}

// consequence says that an error has no cause but the end of a child or of a context.
func consequence(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, each := range joined.Unwrap() {
			if !consequence(each) {
				return false
			}
		}
		return true
	}
	_, exited := errors.AsType[*exec.ExitError](err)
	return exited || errors.Is(err, context.Canceled)
}
