package kafka_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/certs"
	"userrelay/handler/delivery"
	"userrelay/handler/identity"
	"userrelay/handler/kafka"
	"userrelay/handler/kafka/diagnose"
	"userrelay/local/realkafka"
	"userrelay/test/kafka/ledger"
	"userrelay/test/kafkatest"
	"userrelay/test/must"
	"userrelay/test/recorder"
	"userrelay/test/wait"
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
	c := kafkatest.Start(t, realkafka.Options{Logins: oddLogins()})
	for _, l := range []realkafka.ScramLogin{commas(), {Name: "zoë", Password: "name-secret"}} {
		if err := c.AddLogin(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range []string{"open", "no-write", "no-describe", "probed"} {
		createTopic(t, c, topic, 2, 1)
	}
	deny(t, c, "no-write", kmsg.ACLOperationWrite)
	deny(t, c, "no-describe", kmsg.ACLOperationDescribe, kmsg.ACLOperationWrite)
	for _, w := range slices.Concat(certificates(t, c), passwords(c), oddPasswords(c), tokens(t, c)) {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			w.try(t, c.Bootstrap(w.listener))()
		})
	}
	t.Run("diagnosis", func(t *testing.T) {
		t.Parallel()
		testDiagnosis(t, c)
	})
	for user, w := range map[string]way{
		realkafka.User:      {topic: "open"},
		realkafka.OtherUser: {topic: "no-write", class: delivery.NotAuthorized, log: "WRITE"},
	} {
		t.Run("resumed TLS sessions of "+user, func(t *testing.T) {
			t.Parallel()
			w.resume(t, c, user)
		})
	}
}

// testDiagnosis diagnoses the broker as a login that may write to a topic, and as others. The tests in handler/kafka have
// all findings; a real broker shows that the right to write can be tested without a record.
func testDiagnosis(t *testing.T, c *realkafka.Cluster) {
	t.Helper()
	alice, mallory := kafka.Plain(realkafka.User, realkafka.Password), kafka.Plain(realkafka.OtherUser, realkafka.OtherPassword)
	certified := must.Get[*tls.Config](t)(c.CA().ClientWith(must.Get[realkafka.Cert](t)(c.CA().Issue(realkafka.CertSpec{}))))
	for _, tt := range []struct {
		by    realkafka.Listener
		topic string
		as    sasl.Mechanism
		tls   *tls.Config
		want  string // in the report, in this order
	}{
		{realkafka.SASLSSL, "probed", alice, c.CA().Client(), "ok broker .* over TLS and accepts the login \\(PLAIN\\)"},
		{realkafka.SSL, "probed", nil, certified, "ok broker .* over TLS\n.*\nok topic .*: may be written to"},
		{realkafka.Plaintext, "probed", nil, nil, "ok broker .*: answers, without encryption or login\n.*2 partitions\nok topic .*: may be written to\nWARN .* one replica"},
		{realkafka.SASLPlaintext, "probed", alice, nil, "ok broker .* accepts the login \\(PLAIN\\).*\n.*\nok topic .*: may be written to"},
		{realkafka.SASLPlaintext, "no-write", mallory, nil, "\nFAIL topic .*WRITE on KAFKA_TOPIC"},
		{realkafka.SASLPlaintext, "nowhere", alice, nil, "\nFAIL topic .*: the topic does not exist"},
		{realkafka.Plaintext, "probed", alice, nil, "FAIL broker .*expects no login; see KAFKA_SECURITY_PROTOCOL"},
	} {
		found := diagnosis(t, kafka.Config{Brokers: c.Bootstrap(tt.by), Topic: tt.topic, ClientID: "test", TLS: tt.tls, SASL: tt.as})
		if !regexp.MustCompile(tt.want).MatchString(found) || strings.Contains(found, "FAIL") != strings.Contains(tt.want, "FAIL") {
			t.Errorf("found:\n%swant:\n%s", found, tt.want)
		}
	}
	if n := len(read(t, c, "probed")); n != 0 {
		t.Errorf("the diagnosis left %d records", n)
	}
}

// diagnosis returns the findings as -check prints them.
func diagnosis(t *testing.T, config kafka.Config) string {
	t.Helper()
	var found strings.Builder
	for _, f := range diagnose.Run(t.Context(), config) {
		fmt.Fprintf(&found, "%s %s: %s\n", [...]string{"ok", "WARN", "FAIL"}[f.Grade], f.Subject, f.Text)
	}
	return found.String()
}

// resume tries a way repeatedly with the certificate of a user. The broker resumes TLS sessions, and still knows the
// client's certificate in a resumed one, so that missing rights stay missing.
func (w way) resume(t *testing.T, c *realkafka.Cluster, user string) {
	t.Helper()
	cert := must.Get[realkafka.Cert](t)(c.CA().Issue(realkafka.CertSpec{CommonName: user}))
	keeper, problems := certs.New(certs.Settings{CA: string(c.CA().PEM()), Cert: string(cert.CertPEM), Key: string(cert.KeyPEM)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var resumed atomic.Int32
	w.tls = keeper.TLS().Clone()
	w.tls.VerifyConnection = func(state tls.ConnectionState) error {
		if state.DidResume {
			resumed.Add(1)
		}
		return nil
	}
	for range 5 { // all stay open, because Java drops a session whose connection ends without a TLS close message
		defer w.try(t, c.Bootstrap(realkafka.SSL))()
	}
	if resumed.Load() == 0 {
		t.Error("no session was resumed")
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

func passwords(c *realkafka.Cluster) []way {
	secure := c.CA().Client()
	scram := func(mechanism, password string) sasl.Mechanism {
		return kafka.SCRAM(mechanism, realkafka.User, password)
	}
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
func oddLogins() []realkafka.ScramLogin {
	return []realkafka.ScramLogin{
		{Name: "half", Password: "½-secret"},
		{Name: "nbsp", Password: "no\u00a0break-secret"},
		{Name: "arabic", Password: "مرحبا123🔑-secret"},
		{Name: "accent", Password: "e\u0301-soft\u00adhyphen-secret"},
		{Name: "space", Password: " secret "},
		{Name: "a=2Cb=3D", Password: "escape-secret"},
	}
}

func oddPasswords(c *realkafka.Cluster) []way {
	secure := c.CA().Client()
	var ways []way
	for _, login := range append(oddLogins(), commas()) {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			ways = append(ways, way{
				name: mechanism + ", " + login.Name, listener: realkafka.SASLSSL, tls: secure, sasl: kafka.SCRAM(mechanism, login.Name, login.Password),
			})
		}
	}
	// Names must be ASCII in the broker's pattern, and in the setting's.
	return append(ways, way{
		name: "SCRAM-SHA-256, a name beyond ASCII", listener: realkafka.SASLSSL, tls: secure, sasl: kafka.SCRAM("SCRAM-SHA-256", "zoë", "name-secret"),
		class: delivery.NotAuthorized, log: refused,
	})
}

// commas is a login that cannot be in the list with which a cluster is made.
func commas() realkafka.ScramLogin {
	return realkafka.ScramLogin{Name: "a,b", Password: "a,b=c,secret"}
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

const (
	refused = "refuses the login"
	marker  = "5ecr3t" // is in passwords, and must not be in any output
)

// try stores a record in that way, or checks the class and the line of the refusal. The caller must call done.
func (w way) try(t *testing.T, brokers []string) (done func()) {
	t.Helper()
	var log recorder.Recorder
	p := kafka.New(kafka.Config{
		Brokers: brokers, Topic: cmp.Or(w.topic, "open"), ClientID: "test", TLS: w.tls, SASL: w.sasl, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	ctx, cancel := context.WithCancel(wait.Context(t))
	defer cancel()
	told := func() {
		wait.For(t, "the log says "+w.log, func() bool { return strings.Contains(log.String(), w.log) })
	}
	outcome := make(chan error, 1)
	go func() {
		_, err := p.Produce(ctx, ledger.Record("x"))
		outcome <- err
	}()
	if w.class == delivery.Unavailable { // it is tried until the caller's time ends
		told()
		cancel()
	}
	err := wait.Receive(t, "the outcome", outcome)
	if got := delivery.ClassOf(err); got != w.class {
		t.Errorf("class %q, want %q; log:\n%s", got, w.class, log.String())
	}
	told()
	for _, secret := range []string{marker, "-secret", "auth=Bearer", "invalid_token"} {
		if strings.Contains(log.String(), secret) || err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q is told: %v\n%s", secret, err, log.String())
		}
	}
	return func() { closeProducer(t, p) }
}
