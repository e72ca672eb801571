package main

import (
	"context"
	"errors"
	"net/http"
	neturl "net/url"
	"strconv"
	"time"
)

var errNoAnswer = errors.New("no answer in time")

// withoutAddress returns the error of a request without its address, which can hold keys.
func withoutAddress(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if wrapped, ok := errors.AsType[*neturl.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// sleep waits, and says whether the context is still valid.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retryAfter reads the header in both forms, seconds and a date. 0 means none.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(seconds, 0), int(longestWait/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
