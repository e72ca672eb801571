package ingest

import (
	"context"
	"log/slog"
)

// Stats counts items by result. At every moment Tracked = Accepted + Rejected + Dropped + Pending.
type Stats struct {
	Tracked  int64 // given to Track
	Accepted int64 // by Application Insights
	Rejected int64 // by Application Insights, for good
	Dropped  int64 // here
	Pending  int64 // still here
	// Reason is the reason of the latest loss, one of those below or "status 400"; "" while nothing was lost.
	Reason string
}

// Why items were lost. Refusals by Application Insights are not among them; they are reported by status.
const (
	reasonFull     = "full"      // the queue was full while Application Insights did not accept items
	reasonClosed   = "closed"    // not sent when Close ended, or tracked after it
	reasonTooLarge = "too large" // an item of more than 64 KB
	reasonCapped   = "capped"    // the daily cap or the quota was reached (402, 439)
	reasonRefused  = "refused"   // failed again and again while others were accepted
	reasonUnread   = "unread"    // sent; the answer does not say whether they were accepted (206 with a body that cannot be read)
)

// Lost is the number of items that will not be found in Application Insights, or may not be.
func (s Stats) Lost() int64 { return s.Rejected + s.Dropped }

// reporter reports the counters: to Application Insights while there are items, to the console when items are lost.
type reporter struct {
	log  *slog.Logger
	item func(Stats) []byte // nil: no report to Application Insights

	own           int64 // the reporter's own items
	tracked, lost int64 // as in the last report, without the reporter's own
	warned        int64 // lost, as in the last console line
}

// line returns the report, or nil if nothing changed since the last one.
func (r *reporter) line(s Stats) []byte {
	tracked := s.Tracked - r.own
	if r.item == nil || tracked == r.tracked && s.Lost() == r.lost {
		return nil
	}
	r.tracked, r.lost = tracked, s.Lost()
	r.own++
	return r.item(s)
}

// warn writes a console line if items were lost since the last one.
func (r *reporter) warn(ctx context.Context, s Stats) {
	lost := s.Lost() - r.warned
	if lost == 0 {
		return
	}
	r.warned = s.Lost()
	r.log.LogAttrs(ctx, slog.LevelWarn, "Telemetry was lost", slog.Int64("lost", lost), slog.String("reason", s.Reason),
		slog.Int64("tracked", s.Tracked), slog.Int64("accepted", s.Accepted), slog.Int64("rejected", s.Rejected),
		slog.Int64("dropped", s.Dropped), slog.Int64("pending", s.Pending))
}
