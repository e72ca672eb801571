package portal

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// node is a station on the way of a registration.
type node struct {
	Address string `json:"address,omitempty"` // host:port; "": unknown
	// State is "up" or "down", or "unknown" if it cannot be checked.
	State string `json:"state"`
}

// way has the states of all stations.
type way struct {
	Host    node `json:"host"`
	Handler node `json:"handler"`
	Kafka   node `json:"kafka"`
	Outbox  node `json:"outbox"`
	// Told is when the last item came, RFC 3339; "" none.
	Told string `json:"told,omitempty"`
}

// Parts are the URLs for checking host and handler; "" if unknown.
type Parts struct{ Host, Handler string }

// SetParts sets the addresses of host and handler.
func (p *Portal) SetParts(parts Parts) {
	p.parts.Store(&parts)
	p.feed.stateChanged()
}

const askLimit = time.Second // for host and handler each

func (p *Portal) way(w http.ResponseWriter, r *http.Request) {
	parts := Parts{}
	if known := p.parts.Load(); known != nil {
		parts = *known
	}
	all := way{Host: askNode(r.Context(), parts.Host), Handler: askNode(r.Context(), parts.Handler)}
	all.Kafka = node{Address: strings.Join(p.config.Brokers, ", "), State: "unknown"}
	if p.topic != nil {
		_, failed := p.topic.latest()
		all.Kafka.State = stateOf(failed == nil)
	}
	all.Outbox = node{Address: p.config.OutboxAddress, State: "unknown"}
	if p.queues != nil {
		_, _, failed := p.queues.latest()
		all.Outbox.State = stateOf(failed == nil)
	}
	if at := p.store.newest(); !at.IsZero() {
		all.Told = stamp(at)
	}
	writeJSON(w, http.StatusOK, all)
}

func stateOf(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// askNode says whether a station answers anything. For host and handler, answering the root path has no other effect.
func askNode(ctx context.Context, url string) node {
	if url == "" {
		return node{State: "unknown"}
	}
	_, address, _ := strings.Cut(url, "://")
	n := node{Address: strings.TrimSuffix(address, "/"), State: "down"}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return n
	}
	req.Close = true
	if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
		_ = res.Body.Close()
		n.State = "up"
	}
	return n
}
