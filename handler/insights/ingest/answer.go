package ingest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// statusQuota is Application Insights' own status: too much over an extended time.
const statusQuota = 439

const maxRetryAfter = 5 * time.Minute // largest accepted value

// answer is the endpoint's answer to a batch.
type answer struct {
	status     int
	retryAfter time.Duration // 0: none
	body       []byte
}

// fate says how to continue with a batch.
type fate int

const (
	accepted   fate = iota
	partly          // the answer differs by item
	again           // sent again, later
	authorized      // sent again, later: a new role assignment takes minutes
	halved          // sent again in two halves
	capped          // dropped; the quota is used up
	rejected        // dropped; it would be refused again
)

// fate is the table of answers (Monitor exporters API v2.1; the Python and .NET exporters' lists of statuses).
func (a answer) fate() fate {
	switch a.status {
	case http.StatusOK:
		return accepted
	case http.StatusPartialContent:
		return partly
	case http.StatusUnauthorized, http.StatusForbidden:
		return authorized
	case http.StatusPaymentRequired, statusQuota:
		return capped
	case http.StatusRequestEntityTooLarge:
		return halved
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return again
	}
	if a.status >= 500 {
		return again
	}
	return rejected // 400: the data or the key; 404: another stamp's key; a redirect that is not followed; anything else
}

// blames says whether an answer may be caused by the content of the batch, and not by the state of the service.
func (a answer) blames() bool {
	return a.status == http.StatusPartialContent || a.status >= 500 && a.status != http.StatusServiceUnavailable
}

// itemsAgain says whether an item that was refused with this status is sent again.
func itemsAgain(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests, statusQuota,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// shares reads the body of a 206 for a batch of n items. It returns the indices of the items to send again, ascending,
// and the results of the others. A sampled item has an entry with a 2xx, which is not an error. It checks the indices,
// because they come from outside, and returns false if the body cannot be read.
func (a answer) shares(n int) (again []int, _ outcome, ok bool) {
	var r struct {
		Accepted *int `json:"itemsAccepted"`
		Errors   []*struct {
			Index  *int `json:"index"`
			Status int  `json:"statusCode"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(a.body, &r, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, outcome{dropped: n, reason: reasonUnread}, false
	}
	status := make([]int, n) // 0: accepted
	sampled := 0
	for _, e := range r.Errors {
		if e == nil || e.Index == nil || *e.Index < 0 || *e.Index >= n || status[*e.Index] != 0 {
			continue
		}
		status[*e.Index] = e.Status
	}
	o := outcome{reason: a.reason()}
	for i, code := range status {
		switch {
		case code == 0:
			o.accepted++
		case code/100 == 2:
			o.accepted++
			sampled++
		case itemsAgain(code):
			again = append(again, i)
		default:
			o.rejected++
		}
	}
	if r.Accepted != nil { // some may be refused without a readable entry
		missing := min(max(o.accepted-sampled-*r.Accepted, 0), o.accepted-sampled)
		o.accepted -= missing
		o.rejected += missing
	}
	return again, o, true
}

// retryAfter reads the header in both forms (RFC 9110, section 10.2.3).
func retryAfter(value string, now time.Time) time.Duration {
	var d time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		d = date.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
