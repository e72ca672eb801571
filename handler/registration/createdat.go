package registration

import "time"

// canonical returns the form of a time that event ids are derived from: UTC, with milliseconds, as Auth0 writes
// created_at. 19:00:00.1234+00:00 and 19:00:00.123Z are the same time and must give the same id. It returns text that
// is not an RFC 3339 time unchanged. The Action does the same (auth0/actions/shared); auth0/testdata/ids.json tests
// both.
func canonical(createdAt string) string {
	if createdAt == "" {
		return ""
	}
	if len(createdAt) == len("2006-01-02T15:04:05.000Z") && createdAt[len(createdAt)-1] == 'Z' {
		return createdAt // either canonical, or not a time
	}
	t, ok := parseTime(createdAt)
	if !ok || !strict(createdAt) {
		return createdAt
	}
	return t.Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
}

// strict says whether s, which time.Parse accepted, really is an RFC 3339 time. time.Parse also accepts hours of one
// digit, a comma before the fraction, and offsets up to +24:60.
func strict(s string) bool {
	if s[len("2006-01-02T")+2] != ':' || s[len("2006-01-02T15:04:05")] == ',' {
		return false
	}
	if s[len(s)-1] == 'Z' {
		return true
	}
	offset := s[len(s)-len("00:00"):]
	return offset[:2] < "24" && offset[3] < '6'
}
