package insights

import (
	"context"
	"log/slog"
	"strconv"
	"time"
)

// Stats counts what becomes of items. At every moment Tracked = Accepted + Rejected + Dropped.Total() + Pending.
type Stats struct {
	Tracked  int64   // given to Track
	Accepted int64   // by Application Insights
	Rejected int64   // by Application Insights, for good
	Dropped  Dropped // here
	Pending  int64   // still here

	Posts        int64 // requests to Application Insights
	Unauthorized int64 // requests that were answered 401 or 403, or not made for want of a token
	Cut          int64 // values and keys that were shortened to what the schema allows
	NotNumbers   int64 // measurements that were left out because they are no numbers
}

// Dropped counts items that were given up, by reason.
type Dropped struct {
	Full    int64 // no room while Application Insights did not take items
	Closed  int64 // not sent when Close ended, or tracked after it
	Invalid int64 // of a kind that is not known, not to be had as JSON, or larger than 64 KB
	Capped  int64 // the daily cap or the quota was reached (402, 439)
	Refused int64 // failed again and again while others were accepted
	Unread  int64 // sent; the answer does not say whether they were accepted (206 with a body that cannot be read)
}

// Total is the sum of all reasons.
func (d Dropped) Total() int64 {
	return d.Full + d.Closed + d.Invalid + d.Capped + d.Refused + d.Unread
}

// Lost is the number of items that will not be found in Application Insights, or may not be.
func (s Stats) Lost() int64 { return s.Rejected + s.Dropped.Total() }

// counter is a name and a number that queries and people find lost telemetry by.
type counter struct {
	name  string
	value int64
}

func (s Stats) counters() []counter {
	d := s.Dropped
	return []counter{
		{"tracked", s.Tracked},
		{"accepted", s.Accepted},
		{"rejected", s.Rejected},
		{"dropped", d.Total()},
		{"droppedFull", d.Full},
		{"droppedClosed", d.Closed},
		{"droppedInvalid", d.Invalid},
		{"droppedCapped", d.Capped},
		{"droppedRefused", d.Refused},
		{"droppedUnread", d.Unread},
		{"pending", s.Pending},
		{"posts", s.Posts},
		{"unauthorized", s.Unauthorized},
		{"cut", s.Cut},
		{"notNumbers", s.NotNumbers},
	}
}

// reporter tells what becomes of items: Application Insights while there are any, the console when some are lost.
type reporter struct {
	log *slog.Logger

	own           int64 // items of the reporter's own
	tracked, lost int64 // as the last item told, without the reporter's own
	warned        int64 // lost, as the console was told
}

// item returns the item telemetry-stats, or nil where nothing happened since the last one.
func (r *reporter) item(s Stats, now time.Time) *record {
	tracked := s.Tracked - r.own
	if tracked == r.tracked && s.Lost() == r.lost {
		return nil
	}
	r.tracked, r.lost = tracked, s.Lost()
	r.own++
	p := properties{{"event", "telemetry-stats"}}
	for _, c := range s.counters() {
		p = append(p, property{c.name, strconv.FormatInt(c.value, 10)})
	}
	return &record{at: now, level: slog.LevelInfo, text: "telemetry-stats", properties: p}
}

// warn writes a line where items were lost since the last one.
func (r *reporter) warn(ctx context.Context, s Stats) {
	lost := s.Lost() - r.warned
	if lost == 0 {
		return
	}
	r.warned = s.Lost()
	attrs := []slog.Attr{slog.Int64("lost", lost)}
	for _, c := range s.counters() {
		if c.value != 0 {
			attrs = append(attrs, slog.Int64(c.name, c.value))
		}
	}
	r.log.LogAttrs(ctx, slog.LevelWarn, "Telemetry was lost", attrs...)
}
