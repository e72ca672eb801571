package main

import (
	"context"
	"errors"
	"os/exec"
)

// interrupted says that an error is only a consequence of the requested end.
func interrupted(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, each := range joined.Unwrap() {
			if !interrupted(each) {
				return false
			}
		}
		return true
	}
	_, exited := errors.AsType[*exec.ExitError](err)
	return exited || errors.Is(err, context.Canceled)
}
