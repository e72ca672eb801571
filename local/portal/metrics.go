package portal

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"
)

const keepMetrics = 200 // names

// metric is the last value of a metric.
type metric struct {
	Name  string   `json:"name"`
	Value *float64 `json:"value"`
	Count int      `json:"count,omitempty"` // number of measurements in the sum
	Role  string   `json:"role,omitempty"`  // the sender
	Time  string   `json:"time"`
	Told  int      `json:"told"` // how often it was sent
}

// metrics are kept separately from items: a real host sends three a minute, which would hide registrations.
type metrics struct {
	mu   sync.Mutex
	last map[string]metric
}

func (m *metrics) add(item *Item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	role := or(item.Tags["ai.cloud.role"], item.Tags["ai.cloud.roleName"])
	key := role + "\x00" + item.Message
	before, known := m.last[key]
	if !known && len(m.last) >= keepMetrics {
		return
	}
	if m.last == nil {
		m.last = map[string]metric{}
	}
	m.last[key] = metric{Name: item.Message, Value: item.Value, Count: item.Count, Role: role, Time: item.Time, Told: before.Told + 1}
}

func (p *Portal) listMetrics(w http.ResponseWriter, _ *http.Request) {
	p.metrics.mu.Lock()
	all := make([]metric, 0, len(p.metrics.last))
	for _, m := range p.metrics.last {
		all = append(all, m)
	}
	p.metrics.mu.Unlock()
	slices.SortFunc(all, func(a, b metric) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Role, b.Role)) })
	writeJSON(w, http.StatusOK, all)
}
