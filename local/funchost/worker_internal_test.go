package funchost

import (
	"testing"
	"time"
)

// TestCrashCounter is within the package so that it need not wait for half an hour.
func TestCrashCounter(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	var c crashCounter
	for _, tt := range []struct {
		after time.Duration // since begin
		want  int
	}{
		{0, 1},
		{30 * time.Minute, 2},                 // not more than the window
		{60*time.Minute + time.Nanosecond, 1}, // more
		{90 * time.Minute, 2},
		{91 * time.Minute, 3}, // an hour and a half after the first, but each close to the one before
	} {
		if got := c.add(begin.Add(tt.after)); got != tt.want {
			t.Errorf("crash after %s: counted %d, want %d", tt.after, got, tt.want)
		}
	}
}
