package funchost_test

import (
	"regexp"
	"strings"

	recording "userrelay/test/recorder"
)

// recorder is a console that records its lines.
type recorder struct{ recording.Recorder }

// has says whether the console has the text.
func (r *recorder) has(text string) bool { return strings.Contains(r.String(), text) }

// count returns how many times the console has the text.
func (r *recorder) count(text string) int { return strings.Count(r.String(), text) }

// matches says whether the console matches the pattern; ^ and $ match at lines.
func (r *recorder) matches(pattern string) bool {
	return regexp.MustCompile("(?m)" + pattern).MatchString(r.String())
}
