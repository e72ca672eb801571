package kafka_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
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
	commas, beyondASCII := addedLogins()
	works(t, c.AddLogin(t.Context(), commas))
	works(t, c.AddLogin(t.Context(), beyondASCII))
	for topic, denied := range map[string][]kmsg.ACLOperation{
		"open": nil, "probed": nil, "no-write": {kmsg.ACLOperationWrite}, "no-describe": {kmsg.ACLOperationDescribe, kmsg.ACLOperationWrite},
	} {
		works(t, c.CreateTopic(t.Context(), topic, 2, 1, nil))
		for _, operation := range denied {
			works(t, c.Deny(t.Context(), realkafka.OtherUser, topic, operation))
		}
	}
	way{}.diagnose(t, kafka.Config{Brokers: c.Bootstrap(realkafka.Plaintext), Topic: "probed", ClientID: "test"})
	if n := len(read(t, c, "probed")); n != 0 {
		t.Errorf("the diagnosis left %d records", n)
	}
	for _, w := range slices.Concat(certificates(t, c), passwords(c), tokens(t, c)) {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			w.try(t, c.Bootstrap(w.listener))()
		})
	}
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
		over(realkafka.Plaintext, nil)("a login where none is due", right).fails(denied, "expects no login"),
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
	commas, beyondASCII := addedLogins()
	nowhere := plain("no such topic", right).fails(delivery.UnknownTopic, "KAFKA_TOPIC")
	nowhere.topic = "nowhere"
	ways := []way{
		secure("PLAIN", right),
		secure("PLAIN, wrong password", wrong).fails(denied, refused),
		plain("PLAIN without TLS", right),
		secure("no login where one is due", nil).fails(delivery.Unavailable, "KAFKA_SASL_MECHANISM"),
		plain("a mechanism that is not offered", kafka.SCRAM("SCRAM-SHA-256", realkafka.User, realkafka.Password)).fails(denied, "KAFKA_SASL_MECHANISM"),
		mallory("no right to write", "no-write").fails(denied, "WRITE"),
		mallory("no right to see the topic", "no-describe").fails(denied, "DESCRIBE"),
		nowhere,
		// Names must be ASCII in the broker's pattern, and in the setting's.
		secure("SCRAM, a name beyond ASCII", kafka.SCRAM("SCRAM-SHA-256", beyondASCII.Name, beyondASCII.Password)).fails(denied, refused),
	}
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		for _, l := range append(oddLogins(), commas, realkafka.ScramLogin{Name: realkafka.User, Password: realkafka.Password}) {
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

// addedLogins are logins that cannot be in the list with which a cluster is made.
func addedLogins() (commas, beyondASCII realkafka.ScramLogin) {
	return realkafka.ScramLogin{Name: "a,b", Password: "a,b=c,secret"}, realkafka.ScramLogin{Name: "zoë", Password: "name-secret"}
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
	config := kafka.Config{
		Brokers: brokers, Topic: cmp.Or(w.topic, "open"), ClientID: "test", TLS: w.tls, SASL: w.sasl, Log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	p := kafka.New(config)
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
	said := fmt.Sprint(err, log.String(), w.diagnose(t, config))
	for _, secret := range []string{marker, "-secret", "auth=Bearer", "invalid_token"} {
		if strings.Contains(said, secret) {
			t.Errorf("%q is told: %s", secret, said)
		}
	}
	return func() { closeProducer(t, p) }
}

// diagnose checks that a diagnosis finds the same as a producer. The tests in handler/kafka have all findings; a real
// broker shows that the right to write can be tested without a record.
func (w way) diagnose(t *testing.T, config kafka.Config) string {
	t.Helper()
	found, want := diagnosis(t, config), []string{"FAIL", w.log}
	if w.class == "" {
		want = []string{"may be written to"}
		if w.tls != nil {
			want = append(want, "over TLS")
		}
		if w.sasl != nil {
			want = append(want, "accepts the login ("+w.sasl.Name()+")")
		}
	}
	for _, text := range want {
		if !strings.Contains(found, text) || w.class == "" && strings.Contains(found, "FAIL") {
			t.Errorf("found:\n%swant: %s", found, text)
		}
	}
	return found
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
