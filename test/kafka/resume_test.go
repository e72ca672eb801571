package kafka_test

import (
	"crypto/tls"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/certs"
	"userrelay/handler/delivery"
	"userrelay/handler/kafka"
	"userrelay/handler/registration"
	"userrelay/local/realkafka"
	"userrelay/test/kafkatest"
	"userrelay/test/must"
)

// TestResumedSessions shows that a real broker resumes TLS sessions, and still knows the client's certificate in a
// resumed one, so that missing rights stay missing.
func TestResumedSessions(t *testing.T) {
	t.Parallel()
	c := kafkatest.Start(t, realkafka.Options{Listeners: []realkafka.Listener{realkafka.SSL}})
	for _, topic := range []string{"open", "no-write"} {
		if err := c.CreateTopic(t.Context(), topic, 1, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	deny(t, c, "no-write", kmsg.ACLOperationWrite)
	for name, who := range map[string]struct {
		user, topic string
		class       delivery.Class
	}{
		"allowed":     {realkafka.User, "open", ""},
		"not allowed": {realkafka.OtherUser, "no-write", delivery.NotAuthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cert := must.Get[realkafka.Cert](t)(c.CA().Issue(realkafka.CertSpec{CommonName: who.user}))
			keeper, problems := certs.New(certs.Settings{CA: string(c.CA().PEM()), Cert: string(cert.CertPEM), Key: string(cert.KeyPEM)})
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			var resumed atomic.Int32
			config := keeper.TLS().Clone()
			config.VerifyConnection = func(state tls.ConnectionState) error {
				if state.DidResume {
					resumed.Add(1)
				}
				return nil
			}
			// All stay open, because Java drops a session whose connection ends without a TLS close message.
			for range 5 {
				p := kafka.New(kafka.Config{Brokers: c.Bootstrap(realkafka.SSL), Topic: who.topic, ClientID: "test", TLS: config})
				defer closeProducer(t, p)
				e := registration.Event{ID: "e", UserID: "auth0|" + who.user, Source: "urn:auth0:test", Time: time.Now()}
				if _, err := p.Produce(t.Context(), e.Record()); delivery.ClassOf(err) != who.class {
					t.Errorf("got %v, want the class %q", err, who.class)
				}
			}
			if resumed.Load() == 0 {
				t.Error("no session was resumed")
			}
		})
	}
}
