package funchost_test

import (
	"regexp"
	"strings"

	recording "userrelay/test/recorder"
)

// recorder is a console that remembers.
type recorder struct{ recording.Recorder }

// has says if the console shows text.
func (r *recorder) has(text string) bool { return strings.Contains(r.String(), text) }

// count says how many times the console shows text.
func (r *recorder) count(text string) int { return strings.Count(r.String(), text) }

// matches says if the console shows the pattern, whose ^ and $ are those of a line.
func (r *recorder) matches(pattern string) bool {
	return regexp.MustCompile("(?m)" + pattern).MatchString(r.String())
}
