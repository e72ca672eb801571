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

// fails is a way that does not work.
func (w way) fails(class delivery.Class, log string) way {
	w.class, w.log = class, log
	return w
}

// over returns a function that makes ways over a listener.
func over(l realkafka.Listener, t *tls.Config) func(name string, login sasl.Mechanism) way {
	return func(name string, login sasl.Mechanism) way { return way{name: name, listener: l, tls: t, sasl: login} }
}

// TestSecurity tries each way that a broker offers, and for each at least one that must fail.
func TestSecurity(t *testing.T) {
	t.Parallel()
	c := kafkatest.Start(t, realkafka.Options{Logins: oddLogins()})
	works(t, c.AddLogin(t.Context(), commas()))
	works(t, c.AddLogin(t.Context(), beyondASCII()))
	for topic, denied := range map[string][]kmsg.ACLOperation{
		"open": nil, "probed": nil, "no-write": {kmsg.ACLOperationWrite}, "no-describe": {kmsg.ACLOperationDescribe, kmsg.ACLOperationWrite},
	} {
		works(t, c.CreateTopic(t.Context(), topic, 2, 1, nil))
		for _, operation := range denied {
			works(t, c.Deny(t.Context(), realkafka.OtherUser, topic, operation))
		}
	}
	for _, w := range slices.Concat(certificates(t, c), passwords(c), tokens(t, c)) {
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
	with := func(name string, by *realkafka.CA, spec realkafka.CertSpec) way {
		return over(realkafka.SSL, must.Get[*tls.Config](t)(ca.ClientWith(must.Get[realkafka.Cert](t)(by.Issue(spec)))))(name, nil)
	}
	const rules = "rules for clients' certificates"
	expired := realkafka.CertSpec{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	right := kafka.Plain(realkafka.User, realkafka.Password)
	return []way{
		over(realkafka.Plaintext, nil)("PLAINTEXT", nil),
		with("SSL", ca, realkafka.CertSpec{}),
		over(realkafka.SSL, ca.Client())("SSL without a certificate", nil).fails(denied, rules),
		with("SSL with another authority's", other, realkafka.CertSpec{}).fails(denied, rules),
		with("SSL with an expired one", ca, expired).fails(denied, rules),
		over(realkafka.SASLSSL, other.Client())("a broker whose authority is not known", right).fails(denied, "KAFKA_TLS_CA"),
		over(realkafka.SSL, nil)("no TLS to a TLS port", nil).fails(denied, "wants TLS on this port"),
		over(realkafka.Plaintext, ca.Client())("TLS to a port without", nil).fails(delivery.Unavailable, "KAFKA_SECURITY_PROTOCOL"),
	}
}

func passwords(c *realkafka.Cluster) []way {
	secure, plain := over(realkafka.SASLSSL, c.CA().Client()), over(realkafka.SASLPlaintext, nil)
	right, wrong := kafka.Plain(realkafka.User, realkafka.Password), kafka.Plain(realkafka.User, "wrong-"+marker)
	mallory := func(name, topic string) way {
		w := plain(name, kafka.Plain(realkafka.OtherUser, realkafka.OtherPassword))
		w.topic = topic
		return w
	}
	nowhere := plain("no such topic", right).fails(delivery.UnknownTopic, "KAFKA_TOPIC")
	nowhere.topic = "nowhere"
	ways := []way{
		secure("PLAIN", right),
		secure("PLAIN, wrong password", wrong).fails(denied, refused),
		plain("PLAIN without TLS", right),
		plain("PLAIN without TLS, wrong password", wrong).fails(denied, refused),
		secure("no login where one is due", nil).fails(delivery.Unavailable, "KAFKA_SASL_MECHANISM"),
		plain("a mechanism that is not offered", kafka.SCRAM("SCRAM-SHA-256", realkafka.User, realkafka.Password)).fails(denied, "KAFKA_SASL_MECHANISM"),
		mallory("no right to write", "no-write").fails(denied, "WRITE"),
		mallory("no right to see the topic", "no-describe").fails(denied, "DESCRIBE"),
		nowhere,
		// Names must be ASCII in the broker's pattern, and in the setting's.
		secure("SCRAM, a name beyond ASCII", kafka.SCRAM("SCRAM-SHA-256", beyondASCII().Name, beyondASCII().Password)).fails(denied, refused),
	}
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		for _, l := range append(oddLogins(), commas(), realkafka.ScramLogin{Name: realkafka.User, Password: realkafka.Password}) {
			ways = append(ways, secure(mechanism+", "+l.Name, kafka.SCRAM(mechanism, l.Name, l.Password)))
		}
		ways = append(ways, secure(mechanism+", wrong password", kafka.SCRAM(mechanism, realkafka.User, "wrong-"+marker)).fails(denied, refused))
	}
	return ways
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

// commas is a login that cannot be in the list with which a cluster is made.
func commas() realkafka.ScramLogin {
	return realkafka.ScramLogin{Name: "a,b", Password: "a,b=c,secret"}
}

func beyondASCII() realkafka.ScramLogin {
	return realkafka.ScramLogin{Name: "zoë", Password: "name-secret"}
}

func tokens(t *testing.T, c *realkafka.Cluster) []way {
	t.Helper()
	bearer := func(token string, err error) sasl.Mechanism {
		return kafka.OAuthBearer(identity.NewTokens(func(context.Context) (string, time.Time, error) { return token, time.Now().Add(time.Hour), err }), nil)
	}
	ours := realkafka.NewClaims(realkafka.User)
	expired, elsewhere := ours, ours
	expired.IssuedAt, expired.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	elsewhere.Audience = "somebody else"
	other := must.Get[*realkafka.Signer](t)(realkafka.NewSigner("other"))
	unsigned := func(claims realkafka.Claims) sasl.Mechanism { return bearer(realkafka.UnsecuredToken(claims), nil) }
	signed := func(s *realkafka.Signer, claims realkafka.Claims) sasl.Mechanism { return bearer(s.Token(claims)) }
	secure, checked := over(realkafka.SASLSSL, c.CA().Client()), over(realkafka.JWKS, c.CA().Client())
	return []way{
		secure("OAUTHBEARER", unsigned(ours)),
		secure("OAUTHBEARER, expired", unsigned(expired)).fails(denied, refused),
		checked("OAUTHBEARER, signed", signed(c.Signer(), ours)),
		checked("OAUTHBEARER, signed and expired", signed(c.Signer(), expired)).fails(denied, refused),
		checked("OAUTHBEARER, signed by another", signed(other, ours)).fails(denied, refused),
		checked("OAUTHBEARER, for another audience", signed(c.Signer(), elsewhere)).fails(denied, refused),
		checked("OAUTHBEARER, not signed", unsigned(ours)).fails(denied, refused),
		checked("OAUTHBEARER without a token", bearer("", context.DeadlineExceeded)).fails(delivery.Unavailable, "KAFKA_OAUTH_SCOPE"),
	}
}

const (
	denied  = delivery.NotAuthorized
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
