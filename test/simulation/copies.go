package simulation

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"userrelay/handler/outbox"
)

// The rows of docs/guarantees.md that explain a copy, by name.
const (
	RowCaller   = "sent-again"
	RowKilled   = "killed-late"
	RowSilent   = "silent"
	RowDrain    = "drain-died"
	RowUnknown  = "put-unknown"
	RowDelete   = "not-deleted"
	RowOther    = "other-log"
	RowForgot   = "forgotten"
	unexplained = ""
)

// Rows returns all rows.
func Rows() []string {
	return []string{RowCaller, RowKilled, RowSilent, RowDrain, RowUnknown, RowDelete, RowOther, RowForgot}
}

// Times of the handler that an explanation needs.
const (
	rememberFor = 5 * time.Minute
	hiddenFor   = 90 * time.Second
	giveUpAfter = 55 * time.Second // 60 s, less what a fault is late
)

// explain finds the row that permits each copy: each record after a call's first one in an era.
func (e *evidence) explain(in *era, copies map[string]int) {
	for call, attempts := range e.byCall {
		var stored []*attempt
		for _, a := range attempts {
			records := slices.DeleteFunc(slices.Clone(a.records), func(s record) bool { return s.in != in })
			if len(records) == 0 {
				continue
			}
			reasons := e.incidents(a, in)
			for n := range records[1:] {
				row := unexplained
				if n < len(reasons) {
					row = reasons[n]
				}
				copies[row]++
				if row == unexplained {
					e.problem("UNEXPLAINED: the request of call %d at %v by %s has %d records, with reasons for %d: %v",
						call, a.sent, a.by, len(records), 1+len(reasons), records)
				}
			}
			if len(stored) > 0 {
				row := e.repeated(a, stored)
				copies[row]++
				if row == unexplained {
					e.problem("UNEXPLAINED: call %d was stored at %v and again at %v, by %s", call, stored[0].sent, a.sent, a.by)
				}
			}
			stored = append(stored, a)
		}
	}
}

// repeated returns the row that permits a request to be stored in addition to others of the same call.
func (e *evidence) repeated(a *attempt, before []*attempt) string {
	if !chosen(a.c) {
		return RowCaller // without an id of its own
	}
	for _, b := range before {
		switch {
		case b.by != a.by: // another instance, or it has ended
		case a.sent-b.answered > rememberFor: // forgotten
		case b.status == 0, b.status == 503: // its outcome was unknown
			switch {
			case e.doubtful(b):
				return RowUnknown
			case e.unproven(b.sent): // the producer gave it up at once, after the caller had given up
				return RowOther
			}
			return unexplained
		default:
			return unexplained
		}
	}
	return RowCaller
}

func chosen(c Call) bool { return c.EventID != "" && c.Form != FormUser }

// doubtful says that the handler got the outcome of a request neither from Kafka nor from the queue.
func (e *evidence) doubtful(a *attempt) bool {
	if strings.HasSuffix(a.body.Type, "outcome-unknown") {
		return true
	}
	return slices.ContainsFunc(e.operations, func(o operation) bool { return o.kind == "put" && o.trace == a.trace && o.doubtful })
}

// incidents returns the rows of which each permits one more record of a request.
func (e *evidence) incidents(a *attempt, in *era) (rows []string) {
	messages, put := map[string]bool{}, time.Duration(-1)
	for _, o := range e.operations {
		if o.trace != a.trace || o.queue != outbox.QueueName {
			continue
		}
		switch o.kind {
		case "put":
			put = o.at
			if o.doubtful {
				rows = append(rows, RowUnknown)
			}
			messages[o.id] = true
		case "take":
			messages[o.id] = true
		}
	}
	delete(messages, "")
	for _, id := range slices.Sorted(maps.Keys(messages)) {
		rows = append(rows, e.takes(id)...)
	}
	if put >= 0 {
		rows = append(rows, e.hidden(a, put)...)
	}
	if in.from > 0 || e.forgot(a.sent) {
		rows = append(rows, RowForgot)
	}
	return rows
}

// hidden returns the rows of a request that was put into the outbox while Kafka might have it.
func (e *evidence) hidden(a *attempt, put time.Duration) (rows []string) {
	if l := e.lives[a.by]; l != nil && l.to > 0 && l.to < put+hiddenFor+5*time.Second {
		rows = append(rows, RowKilled)
	}
	if e.silent(a.sent, put+3*time.Minute) {
		rows = append(rows, RowSilent)
	}
	if e.unproven(a.sent) {
		rows = append(rows, RowOther)
	}
	return rows
}

// takes returns the rows of a message that was received again although a drain may have stored it.
func (e *evidence) takes(id string) (rows []string) {
	var takes []operation
	for _, o := range e.operations {
		switch {
		case o.id != id:
		case o.kind == "take":
			takes = append(takes, o)
		case o.kind == "delete" && !o.done:
			rows = append(rows, RowDelete)
		}
	}
	for i, t := range takes[:max(0, len(takes)-1)] {
		next := takes[i+1].at
		l := e.lives[e.holder(t, next)]
		switch {
		case l != nil && l.to > 0 && l.from <= t.at && l.to <= next:
			rows = append(rows, RowDrain)
		case e.silent(t.at, next+2*time.Minute):
			rows = append(rows, RowSilent)
		case e.unproven(t.at):
			rows = append(rows, RowOther)
		}
	}
	return rows
}

// unproven says that another cluster or topic answered before the record would have been given up.
func (e *evidence) unproven(at time.Duration) bool {
	return slices.ContainsFunc(e.plan.Faults, func(f Fault) bool {
		return (f.Kind == Replace || f.Kind == Remake) && f.At < at+time.Minute
	})
}

// forgot says that a broker did not know a producer while records that were sent then, or drained later, could be
// repeated.
func (e *evidence) forgot(sent time.Duration) bool {
	codes := errorCodes()
	return slices.ContainsFunc(e.plan.Faults, func(f Fault) bool {
		return f.Kind == CodeBefore && slices.Contains(spentCodes(), codes[f.Code%len(codes)]) && faultsBegin+f.At+f.For > sent
	})
}

// holder returns the life of the handler that had a message between two receipts.
func (e *evidence) holder(take operation, next time.Duration) string {
	by := take.by
	for _, o := range e.operations {
		if o.kind == "drain" && o.id == take.id && o.at >= take.at && o.at < next {
			by = o.by
		}
	}
	return by
}

// silent says that faults of Kafka lasted long enough within a time for a producer to give up.
func (e *evidence) silent(from, to time.Duration) bool {
	type span struct{ from, to time.Duration }
	var spans []span
	for _, f := range e.plan.Faults {
		switch f.Kind {
		case Queue500, Queue503, QueueLost, QueueRefuse, QueueSilent, QueueSlow, Kill, KillAt, KillHost, Stop, Token, Ingest, Clock:
			continue
		default:
			begin := faultsBegin + f.At
			spans = append(spans, span{max(begin, from), min(begin+f.For, to)})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var covered, until time.Duration
	for _, s := range spans {
		covered += max(0, s.to-max(s.from, until))
		until = max(until, s.to)
	}
	return covered >= giveUpAfter
}
