package kafka_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/delivery"
	"userrelay/handler/identity"
	"userrelay/handler/kafka"
	"userrelay/handler/registration"
	"userrelay/local/realkafka"
	"userrelay/test/kafkatest"
	"userrelay/test/must"
	"userrelay/test/recorder"
)

// way is a way to connect to a broker.
type way struct {
	name     string
	listener realkafka.Listener
	tls      *tls.Config
	sasl     sasl.Mechanism
	topic    string // else the one that everybody may write to

	class delivery.Class // "": it works
	log   string         // part of the line that says why not
}

// TestSecurity tries each way that a broker offers, and for each at least one that must fail.
func TestSecurity(t *testing.T) {
	t.Parallel()
	c := kafkatest.Start(t, realkafka.Options{Logins: slices.Collect(maps.Values(oddLogins()))})
	comma := realkafka.ScramLogin{Name: "a,b", Password: "a,b=c,secret"}
	for _, l := range []realkafka.ScramLogin{comma, {Name: "zoë", Password: "name-secret"}} {
		if err := c.AddLogin(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range []string{"open", "no-write", "no-describe"} {
		if err := c.CreateTopic(t.Context(), topic, 2, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	deny(t, c, "no-write", kmsg.ACLOperationWrite)
	deny(t, c, "no-describe", kmsg.ACLOperationDescribe, kmsg.ACLOperationWrite)
	for _, w := range slices.Concat(certificates(t, c), passwords(t, c), oddPasswords(c, comma), tokens(t, c)) {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			w.try(t, c.Bootstrap(w.listener))
		})
	}
}

// TestBrokerCertificate connects to brokers with wrong certificates.
func TestBrokerCertificate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spec realkafka.CertSpec
		log  string
	}{
		"host name": {realkafka.CertSpec{Hosts: []string{"elsewhere.example"}}, "another host name"},
		"expired":   {realkafka.CertSpec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}, "has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := kafkatest.Start(t, realkafka.Options{
				Listeners: []realkafka.Listener{realkafka.SASLSSL}, BrokerCert: tt.spec,
			})
			way{
				tls: c.CA().Client(), sasl: kafka.Plain(realkafka.User, realkafka.Password),
				class: delivery.NotAuthorized, log: tt.log,
			}.try(t, c.Bootstrap(realkafka.SASLSSL))
		})
	}
}

func certificates(t *testing.T, c *realkafka.Cluster) []way {
	t.Helper()
	ca, other := c.CA(), must.Get[*realkafka.CA](t)(realkafka.NewCA("other"))
	with := func(by *realkafka.CA, spec realkafka.CertSpec) *tls.Config {
		return must.Get[*tls.Config](t)(ca.ClientWith(must.Get[realkafka.Cert](t)(by.Issue(spec))))
	}
	const refused = "rules for clients' certificates"
	return []way{
		{name: "PLAINTEXT", listener: realkafka.Plaintext},
		{name: "SSL", listener: realkafka.SSL, tls: with(ca, realkafka.CertSpec{})},
		{name: "SSL without a certificate", listener: realkafka.SSL, tls: ca.Client(), class: delivery.NotAuthorized, log: refused},
		{name: "SSL with another authority's", listener: realkafka.SSL, tls: with(other, realkafka.CertSpec{}), class: delivery.NotAuthorized, log: refused},
		{
			name: "SSL with an expired one", listener: realkafka.SSL,
			tls:   with(ca, realkafka.CertSpec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}),
			class: delivery.NotAuthorized, log: refused,
		},
		{
			name: "a broker whose authority is not known", listener: realkafka.SASLSSL, tls: other.Client(),
			sasl: kafka.Plain(realkafka.User, realkafka.Password), class: delivery.NotAuthorized, log: "KAFKA_TLS_CA",
		},
		{name: "no TLS to a TLS port", listener: realkafka.SSL, class: delivery.NotAuthorized, log: "wants TLS on this port"},
		{name: "TLS to a port without", listener: realkafka.Plaintext, tls: ca.Client(), class: delivery.Unavailable, log: "KAFKA_SECURITY_PROTOCOL"},
	}
}

func passwords(t *testing.T, c *realkafka.Cluster) []way {
	t.Helper()
	secure := c.CA().Client()
	scram := func(mechanism, password string) sasl.Mechanism {
		return kafka.SCRAM(mechanism, realkafka.User, password)
	}
	const refused = "refuses the login"
	right, wrong := kafka.Plain(realkafka.User, realkafka.Password), kafka.Plain(realkafka.User, "wrong-"+marker)
	mallory := kafka.Plain(realkafka.OtherUser, realkafka.OtherPassword)
	return []way{
		{name: "PLAIN", listener: realkafka.SASLSSL, tls: secure, sasl: right},
		{name: "PLAIN, wrong password", listener: realkafka.SASLSSL, tls: secure, sasl: wrong, class: delivery.NotAuthorized, log: refused},
		{name: "PLAIN without TLS", listener: realkafka.SASLPlaintext, sasl: right},
		{name: "PLAIN without TLS, wrong password", listener: realkafka.SASLPlaintext, sasl: wrong, class: delivery.NotAuthorized, log: refused},
		{name: "SCRAM-SHA-256", listener: realkafka.SASLSSL, tls: secure, sasl: scram("SCRAM-SHA-256", realkafka.Password)},
		{name: "SCRAM-SHA-256, wrong password", listener: realkafka.SASLSSL, tls: secure, sasl: scram("SCRAM-SHA-256", "wrong-"+marker), class: delivery.NotAuthorized, log: refused},
		{name: "SCRAM-SHA-512", listener: realkafka.SASLSSL, tls: secure, sasl: scram("SCRAM-SHA-512", realkafka.Password)},
		{name: "SCRAM-SHA-512, wrong password", listener: realkafka.SASLSSL, tls: secure, sasl: scram("SCRAM-SHA-512", "wrong-"+marker), class: delivery.NotAuthorized, log: refused},
		{name: "a mechanism that is not offered", listener: realkafka.SASLPlaintext, sasl: scram("SCRAM-SHA-256", realkafka.Password), class: delivery.NotAuthorized, log: "KAFKA_SASL_MECHANISM"},
		{name: "no login where one is due", listener: realkafka.SASLSSL, tls: secure, class: delivery.Unavailable, log: "KAFKA_SASL_MECHANISM"},
		{name: "no right to write", listener: realkafka.SASLPlaintext, sasl: mallory, topic: "no-write", class: delivery.NotAuthorized, log: "WRITE"},
		{name: "no right to see the topic", listener: realkafka.SASLPlaintext, sasl: mallory, topic: "no-describe", class: delivery.NotAuthorized, log: "DESCRIBE"},
		{name: "no such topic", listener: realkafka.SASLPlaintext, sasl: right, topic: "nowhere", class: delivery.UnknownTopic, log: "KAFKA_TOPIC"},
	}
}

// oddLogins are names and passwords that SASLprep changes or refuses, and that Kafka accepts unchanged.
func oddLogins() map[string]realkafka.ScramLogin {
	return map[string]realkafka.ScramLogin{
		"a half":               {Name: "half", Password: "½-secret"},
		"a no-break space":     {Name: "nbsp", Password: "no\u00a0break-secret"},
		"an emoji":             {Name: "emoji", Password: "🔑-secret"},
		"Arabic with digits":   {Name: "arabic", Password: "مرحبا123"},
		"not composed":         {Name: "accent", Password: "e\u0301-secret"},
		"a soft hyphen":        {Name: "hyphen", Password: "soft\u00adhyphen-secret"},
		"white space around":   {Name: "space", Password: " secret "},
		"an equals sign in it": {Name: "a=b", Password: "equals-secret"},
		"an escape in it":      {Name: "a=2Cb=3D", Password: "escape-secret"},
	}
}

func oddPasswords(c *realkafka.Cluster, comma realkafka.ScramLogin) []way {
	secure, logins := c.CA().Client(), oddLogins()
	logins["commas"] = comma
	var ways []way
	for name, login := range logins {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			ways = append(ways, way{
				name: mechanism + ", " + name, listener: realkafka.SASLSSL, tls: secure, sasl: kafka.SCRAM(mechanism, login.Name, login.Password),
			})
		}
	}
	// Names must be ASCII in the broker's pattern, and in the setting's.
	return append(ways, way{
		name: "SCRAM-SHA-256, a name beyond ASCII", listener: realkafka.SASLSSL, tls: secure, sasl: kafka.SCRAM("SCRAM-SHA-256", "zoë", "name-secret"),
		class: delivery.NotAuthorized, log: "refuses the login",
	})
}

func tokens(t *testing.T, c *realkafka.Cluster) []way {
	t.Helper()
	secure := c.CA().Client()
	bearer := func(token string) sasl.Mechanism {
		return kafka.OAuthBearer(identity.NewTokens(func(context.Context) (string, time.Time, error) { return token, time.Now().Add(time.Hour), nil }), nil)
	}
	claims := func(edit func(*realkafka.Claims)) realkafka.Claims {
		c := realkafka.NewClaims(realkafka.User)
		edit(&c)
		return c
	}
	signed := func(s *realkafka.Signer, edit func(*realkafka.Claims)) sasl.Mechanism {
		return bearer(must.Get[string](t)(s.Token(claims(edit))))
	}
	asIs := func(*realkafka.Claims) {}
	expired := func(c *realkafka.Claims) {
		c.IssuedAt, c.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	other := must.Get[*realkafka.Signer](t)(realkafka.NewSigner("other"))
	none := kafka.OAuthBearer(identity.NewTokens(func(context.Context) (string, time.Time, error) { return "", time.Time{}, context.DeadlineExceeded }), nil)
	const refused = "refuses the login"
	return []way{
		{name: "OAUTHBEARER", listener: realkafka.SASLSSL, tls: secure, sasl: bearer(realkafka.UnsecuredToken(claims(asIs)))},
		{name: "OAUTHBEARER, expired", listener: realkafka.SASLSSL, tls: secure, sasl: bearer(realkafka.UnsecuredToken(claims(expired))), class: delivery.NotAuthorized, log: refused},
		{name: "OAUTHBEARER, signed", listener: realkafka.JWKS, tls: secure, sasl: signed(c.Signer(), asIs)},
		{name: "OAUTHBEARER, signed and expired", listener: realkafka.JWKS, tls: secure, sasl: signed(c.Signer(), expired), class: delivery.NotAuthorized, log: refused},
		{name: "OAUTHBEARER, signed by another", listener: realkafka.JWKS, tls: secure, sasl: signed(other, asIs), class: delivery.NotAuthorized, log: refused},
		{
			name: "OAUTHBEARER, for another audience", listener: realkafka.JWKS, tls: secure,
			sasl: signed(c.Signer(), func(c *realkafka.Claims) { c.Audience = "somebody else" }), class: delivery.NotAuthorized, log: refused,
		},
		{name: "OAUTHBEARER, not signed", listener: realkafka.JWKS, tls: secure, sasl: bearer(realkafka.UnsecuredToken(claims(asIs))), class: delivery.NotAuthorized, log: refused},
		{name: "OAUTHBEARER without a token", listener: realkafka.JWKS, tls: secure, sasl: none, class: delivery.Unavailable, log: "KAFKA_OAUTH_SCOPE"},
	}
}

// marker is in passwords, and must not be in any output.
const marker = "5ecr3t"

// try stores a record in that way, or checks the class and the line of the refusal.
func (w way) try(t *testing.T, brokers []string) {
	t.Helper()
	topic := w.topic
	if topic == "" {
		topic = "open"
	}
	var log recorder.Recorder
	p := kafka.New(kafka.Config{
		Brokers: brokers, Topic: topic, ClientID: "test", TLS: w.tls, SASL: w.sasl, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	defer closeProducer(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if w.class == delivery.Unavailable { // it is tried until the caller's time ends
		var watcher sync.WaitGroup
		defer watcher.Wait()
		watcher.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil && !strings.Contains(log.String(), w.log) {
				<-tick.C
			}
			cancel()
		})
	}
	e := registration.Event{ID: "e", UserID: "auth0|" + w.name, Source: "urn:auth0:test", Time: time.Now()}
	_, err := p.Produce(ctx, e.Record())
	if got := delivery.ClassOf(err); got != w.class {
		t.Errorf("class %q, want %q; log:\n%s", got, w.class, log.String())
	}
	if !strings.Contains(log.String(), w.log) {
		t.Errorf("no line says %q:\n%s", w.log, log.String())
	}
	for _, secret := range []string{marker, "-secret", "auth=Bearer", "invalid_token"} {
		if strings.Contains(log.String(), secret) || err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q is told: %v\n%s", secret, err, log.String())
		}
	}
}
