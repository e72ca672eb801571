package report

import "fmt"

// worse returns a sentence for each figure in which a peer is better than we are. Bare net/http is not a peer, because
// it stores nothing.
func (r *Run) worse() []string {
	var out []string
	for i := range r.Stages {
		st := &r.Stages[i]
		for j := range st.Cells {
			out = append(out, st.worseIn(&st.Cells[j])...)
		}
	}
	if ours, ok := coldOf(Ours)(r); ok {
		for _, c := range r.Cold {
			if peer, ok := coldOf(c.Relay)(r); ok && isPeer(c.Relay) && peer.median < ours.median {
				out = append(out, fmt.Sprintf("First answer after the start: %s ms, %s %s ms.", ours, c.Relay, peer))
			}
		}
	}
	if ours, ok := peakOf(Ours)(r); ok {
		for _, name := range r.stage(InProcess).Relays {
			if peer, ok := peakOf(name)(r); ok && isPeer(name) && peer.median < ours.median {
				out = append(out, fmt.Sprintf("Peak memory: %s MiB, %s %s MiB.", ours, name, peer))
			}
		}
	}
	return out
}

func (s *Stage) worseIn(c *Cell) []string {
	var out []string
	for _, peer := range s.Relays {
		if !isPeer(peer) {
			continue
		}
		for _, cmp := range comparisons() {
			sp, ok := c.ratio(Ours, peer, cmp.of)
			if !ok || cmp.closedOnly && !closed(c.Load) {
				continue
			}
			if at := sp.stand(); at != tie && at != cmp.better {
				out = append(out, fmt.Sprintf("%s, %s: %s is %s × that of %s.", s.Title, c.Load, cmp.name, sp, peer))
			}
		}
	}
	return out
}

func isPeer(name Relay) bool { return name != Bare && name != Ours && name != Telemetry }
