package registration_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

func TestForeign(t *testing.T) {
	t.Parallel()
	here := registration.Origin{App: "app", Topic: "users", Brokers: []string{"k1:9092", "k2:9092"}}
	for name, c := range map[string]struct {
		of   registration.Origin
		want bool
	}{
		"this app's":                        {here, false},
		"a version that wrote no origin":    {registration.Origin{}, false},
		"this app's, with other settings":   {registration.Origin{App: "App", Topic: "old", Brokers: []string{"old:9092"}}, false},
		"another app's, the same Kafka":     {registration.Origin{App: "other", Topic: "users", Brokers: []string{"k3:9092", "K2:9092"}}, false},
		"another app's, another topic":      {registration.Origin{App: "other", Topic: "users2", Brokers: here.Brokers}, true},
		"another app's, another cluster":    {registration.Origin{App: "other", Topic: "users", Brokers: []string{"k1:9093"}}, true},
		"another app's, no broker is named": {registration.Origin{App: "other", Topic: "users"}, true},
		"a developer's machine's":           {registration.Origin{Topic: "users", Brokers: []string{"localhost:9092"}}, true},
	} {
		if got := c.of.Foreign(here); got != c.want {
			t.Errorf("%s: foreign %v", name, got)
		}
		if got := here.Foreign(c.of); c.of.Topic != "" && got != c.want {
			t.Errorf("%s, the other way round: foreign %v", name, got)
		}
	}
}

func TestEnvelopeHasItsOrigin(t *testing.T) {
	t.Parallel()
	origin := registration.Origin{App: "app", Topic: "users", Brokers: strings.Fields("a:1 b:1 c:1 d:1 e:1 f:1 g:1 h:1 i:1")}
	e := registration.Event{ID: "1", Chosen: true, UserID: "auth0|1", Source: "urn:auth0:t", Time: time.Unix(1, 0).UTC()}
	m, err := registration.ParseEnvelope(registration.Envelope{Event: e, Queued: time.Unix(2, 0), Origin: origin}.Encode())
	origin.Brokers = origin.Brokers[:8]
	if diff := cmp.Diff(origin, m.Origin); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
