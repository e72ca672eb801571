package insights

import (
	"net/http"
	"sync"
	"time"

	"github.com/microsoft/ApplicationInsights-Go/appinsights"
)

// Sink takes items. Track neither blocks nor fails.
type Sink interface {
	Track(item appinsights.Telemetry)
}

// Sender sends items to Application Insights in batches, at most a second after they came: the host ends the program
// with SIGKILL, so that what is not sent by then is lost.
type Sender struct {
	mu     sync.RWMutex // the SDK panics when Track meets Close
	closed bool
	client appinsights.TelemetryClient
	http   *http.Client
}

// NewSender returns a sender for the connection. role and instance are the node's on the application map.
func NewSender(c Connection, role, instance, version string) *Sender {
	config := appinsights.NewTelemetryConfiguration(c.InstrumentationKey)
	config.EndpointUrl = c.Endpoint
	config.MaxBatchSize = 500
	config.MaxBatchInterval = time.Second
	config.Client = &http.Client{ // the SDK's default has no time limit
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	client := appinsights.NewTelemetryClientFromConfig(config)
	tags := client.Context().Tags
	tags.Cloud().SetRole(role)
	tags.Cloud().SetRoleInstance(instance)
	tags.Application().SetVer(version)
	return &Sender{client: client, http: config.Client}
}

// Track sends one item.
func (s *Sender) Track(item appinsights.Telemetry) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.closed {
		s.client.Track(item)
	}
}

// Close sends what waits, within the time limit.
func (s *Sender) Close(limit time.Duration) {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	s.mu.Unlock()
	if already {
		return
	}
	select {
	case <-s.client.Channel().Close():
	case <-time.After(limit):
	}
	s.http.CloseIdleConnections()
}
