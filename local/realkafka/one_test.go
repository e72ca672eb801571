package realkafka_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/local/realkafka"
	"userrelay/test/faultproxy"
	"userrelay/test/kafkatest"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// TestOneNode uses one broker for everything, because starting it takes time.
func TestOneNode(t *testing.T) {
	proxy := faultproxy.ForTest(t)
	c := kafkatest.Start(t, realkafka.Options{
		ReauthAfter: time.Second,
		Advertise: func(_ int, l realkafka.Listener, addr string) (string, error) {
			if l != realkafka.Plaintext {
				return addr, nil
			}
			proxy.SetTarget(addr)
			return proxy.Addr(), nil
		},
	})
	const topic = "one"
	if err := c.CreateTopic(t.Context(), topic, 2, 1, map[string]string{"max.message.bytes": "100000"}); err != nil {
		t.Fatal(err)
	}
	if n := proxy.Stats().Connections; n != 0 {
		t.Errorf("%d connections of the package's own went through the proxy", n)
	}
	t.Run("logins", func(t *testing.T) { testLogins(t, c, topic) })
	t.Run("a session ends", func(t *testing.T) { testReauth(t, c, topic) })
	t.Run("ACL", func(t *testing.T) { testDeny(t, c) })
	t.Run("proxy", func(t *testing.T) {
		if err := produce(t.Context(), c.Bootstrap(realkafka.Plaintext), topic, login{}); err != nil {
			t.Fatal(err)
		}
		if n := proxy.Stats().Produced; n == 0 {
			t.Error("no produce request went through the proxy")
		}
	})
	t.Run("read", func(t *testing.T) { testRead(t, c) })
	t.Run("pause", func(t *testing.T) { testPause(t, c, topic) })
	t.Run("kill and restart", func(t *testing.T) { testRestart(t, c, topic) })
}

func testLogins(t *testing.T, c *realkafka.Cluster, topic string) {
	t.Helper()
	ca, otherCA := c.CA(), must.Get[*realkafka.CA](t)(realkafka.NewCA("other"))
	signer, otherSigner := c.Signer(), must.Get[*realkafka.Signer](t)(realkafka.NewSigner("test"))
	with := func(by *realkafka.CA, spec realkafka.CertSpec) login {
		return login{tls: must.Get[*tls.Config](t)(ca.ClientWith(must.Get[realkafka.Cert](t)(by.Issue(spec))))}
	}
	scramAs := func(algo scram.Algorithm, password string) login {
		return login{tls: ca.Client(), sasl: must.Get[sasl.Mechanism](t)(scram.Mechanism(algo, realkafka.User, password))}
	}
	plainAs := func(password string) sasl.Mechanism {
		return plain.Mechanism{Username: realkafka.User, Password: password}
	}
	token := func(s *realkafka.Signer, edit func(*realkafka.Claims)) login {
		claims := realkafka.NewClaims(realkafka.User)
		edit(&claims)
		return login{tls: ca.Client(), sasl: bearer(must.Get[string](t)(s.Token(claims)))}
	}
	unsecured := func(edit func(*realkafka.Claims)) login {
		claims := realkafka.NewClaims(realkafka.User)
		edit(&claims)
		return login{tls: ca.Client(), sasl: bearer(realkafka.UnsecuredToken(claims))}
	}
	asIs := func(*realkafka.Claims) {}
	expired := func(c *realkafka.Claims) {
		c.IssuedAt, c.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	notFor := func(c *realkafka.Claims) { c.Audience = "somebody else" }

	tests := []struct {
		name     string
		listener realkafka.Listener
		login    login
		refused  func(error) bool // nil: it works
	}{
		{"no login", realkafka.Plaintext, login{}, nil},
		{"certificate", realkafka.SSL, with(ca, realkafka.CertSpec{}), nil},
		{"no certificate", realkafka.SSL, login{tls: ca.Client()}, isAlert},
		{"certificate of another CA", realkafka.SSL, with(otherCA, realkafka.CertSpec{}), isAlert},
		{"expired certificate", realkafka.SSL, with(ca, realkafka.CertSpec{NotAfter: time.Now().Add(-time.Minute)}), isAlert},
		{"unknown server", realkafka.SASLSSL, login{tls: otherCA.Client(), sasl: plainAs(realkafka.Password)}, isUnknownAuthority},
		{"PLAIN", realkafka.SASLSSL, login{tls: ca.Client(), sasl: plainAs(realkafka.Password)}, nil},
		{"PLAIN, wrong password", realkafka.SASLSSL, login{tls: ca.Client(), sasl: plainAs("wrong")}, isAuthFailed},
		{"SCRAM-SHA-256", realkafka.SASLSSL, scramAs(scram.SHA256, realkafka.Password), nil},
		{"SCRAM-SHA-256, wrong password", realkafka.SASLSSL, scramAs(scram.SHA256, "wrong"), isAuthFailed},
		{"SCRAM-SHA-512", realkafka.SASLSSL, scramAs(scram.SHA512, realkafka.Password), nil},
		{"SCRAM-SHA-512, wrong password", realkafka.SASLSSL, scramAs(scram.SHA512, "wrong"), isAuthFailed},
		{"unsecured token", realkafka.SASLSSL, unsecured(asIs), nil},
		{"unsecured token, expired", realkafka.SASLSSL, unsecured(expired), isAuthFailed},
		{"PLAIN without TLS", realkafka.SASLPlaintext, login{sasl: plainAs(realkafka.Password)}, nil},
		{"PLAIN without TLS, wrong password", realkafka.SASLPlaintext, login{sasl: plainAs("wrong")}, isAuthFailed},
		{"PLAIN for a while", realkafka.SASLReauth, login{sasl: plainAs(realkafka.Password)}, nil},
		{"PLAIN for a while, wrong password", realkafka.SASLReauth, login{sasl: plainAs("wrong")}, isAuthFailed},
		{"signed token", realkafka.JWKS, token(signer, asIs), nil},
		{"signed token, expired", realkafka.JWKS, token(signer, expired), isAuthFailed},
		{"signed token for somebody else", realkafka.JWKS, token(signer, notFor), isAuthFailed},
		{"token of another signer", realkafka.JWKS, token(otherSigner, asIs), isAuthFailed},
		{"unsecured token where a signed one is due", realkafka.JWKS, unsecured(asIs), isAuthFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := produce(wait.Context(t), c.Bootstrap(tt.listener), topic, tt.login)
			if tt.refused == nil && err != nil || tt.refused != nil && !tt.refused(err) {
				t.Errorf("on %s: got error %v", tt.listener, err)
			}
		})
	}
}

func isAuthFailed(err error) bool { return errors.Is(err, kafka.SASLAuthenticationFailed) }

func isAlert(err error) bool {
	op := (*net.OpError)(nil)
	return errors.As(err, &op) && op.Op == "remote error"
}

func isUnknownAuthority(err error) bool {
	return errors.As(err, &x509.UnknownAuthorityError{})
}

func testReauth(t *testing.T, c *realkafka.Cluster, topic string) {
	t.Helper()
	tr := &kafka.Transport{
		SASL:           plain.Mechanism{Username: realkafka.User, Password: realkafka.Password},
		MetadataTopics: []string{topic},
	}
	defer tr.CloseIdleConnections()
	ctx := wait.Context(t)
	wait.For(t, "a request finds its session over", func() bool {
		return produceWith(ctx, tr, c.Bootstrap(realkafka.SASLReauth), topic) != nil
	})
}

func testDeny(t *testing.T, c *realkafka.Cluster) {
	t.Helper()
	const topic = "guarded"
	if err := c.CreateTopic(t.Context(), topic, 1, 1, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Deny(t.Context(), realkafka.OtherUser, topic, kmsg.ACLOperationWrite); err != nil {
		t.Fatal(err)
	}
	as := func(user, password string) error {
		mech := plain.Mechanism{Username: user, Password: password}
		return produce(t.Context(), c.Bootstrap(realkafka.SASLPlaintext), topic, login{sasl: mech})
	}
	if err := as(realkafka.User, realkafka.Password); err != nil {
		t.Errorf("the other user: %v", err)
	}
	if err := as(realkafka.OtherUser, realkafka.OtherPassword); !errors.Is(err, kafka.TopicAuthorizationFailed) {
		t.Errorf("the user that was denied: got error %v", err)
	}
}

// testRead writes odd records and reads them back.
func testRead(t *testing.T, c *realkafka.Cluster) {
	t.Helper()
	const topic = "odd"
	if err := c.CreateTopic(t.Context(), topic, 3, 1, nil); err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(1_700_000_000_123)
	var all []byte
	for b := range 256 {
		all = append(all, byte(b))
	}
	in := []*kgo.Record{
		{Partition: 0, Key: []byte("auth0|1"), Value: []byte(`{"userId":"auth0|1"}`)},
		{Partition: 0, Key: all, Value: all, Headers: []kgo.RecordHeader{{Key: "all", Value: all}}},
		{Partition: 0, Key: []byte{}, Value: []byte{}, Headers: []kgo.RecordHeader{{Key: "empty", Value: []byte{}}}},
		{Partition: 2, Key: nil, Value: nil, Headers: []kgo.RecordHeader{{Key: "null"}}},
		{Partition: 2, Key: []byte("a,b=c\n"), Value: []byte("\"\\\r\n\u2028ü\x00"), Headers: []kgo.RecordHeader{
			{Key: "a,b=c", Value: []byte("d,e=f")},
			{Key: "twice", Value: []byte("1")},
			{Key: "twice", Value: []byte("2")},
			{Key: "", Value: []byte("no name")},
			{Key: "ü\n\"", Value: []byte("x")},
		}},
	}
	for _, r := range in {
		r.Topic, r.Timestamp = topic, at
	}
	write(t, c, in...)
	var want []realkafka.Record
	for _, r := range in {
		rec := realkafka.Record{Partition: r.Partition, Offset: r.Offset, Timestamp: at.UTC(), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			rec.Headers = append(rec.Headers, realkafka.Header{Key: h.Key, Value: h.Value})
		}
		want = append(want, rec)
	}
	got, err := realkafka.Read(wait.Context(t), c.Bootstrap(realkafka.Plaintext), topic)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was written (-) and read (+):\n%s", diff)
	}
	if _, err := realkafka.Read(wait.Context(t), c.Bootstrap(realkafka.Plaintext), "no-such-topic"); err == nil {
		t.Error("a topic that does not exist: no error")
	}
}

func testPause(t *testing.T, c *realkafka.Cluster, topic string) {
	t.Helper()
	n := c.Node(1)
	if err := n.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := produce(ctx, []string{n.Addr(realkafka.Plaintext)}, topic, login{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while paused: got error %v, want none at all", err)
	}
	if err := n.Resume(); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "it goes on", func() bool {
		return produce(t.Context(), []string{n.Addr(realkafka.Plaintext)}, topic, login{}) == nil
	})
}

func testRestart(t *testing.T, c *realkafka.Cluster, topic string) {
	t.Helper()
	n := c.Node(1)
	before := must.Get[[]realkafka.Record](t)(realkafka.Read(t.Context(), c.Bootstrap(realkafka.Plaintext), topic))
	pid, addr := n.PID(), n.Addr(realkafka.Plaintext)
	if err := n.Restart(t.Context()); err == nil {
		t.Error("restart of a running node: no error")
	}
	if err := n.Kill(); err != nil {
		t.Fatal(err)
	}
	if n.Running() || n.PID() != 0 {
		t.Errorf("after Kill: running %v, process %d", n.Running(), n.PID())
	}
	if err := n.Pause(); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("pause after Kill: got error %v", err)
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n.PID() == pid || n.Addr(realkafka.Plaintext) != addr {
		t.Errorf("after Restart: process %d as before or another address, %s", n.PID(), n.Addr(realkafka.Plaintext))
	}
	after := must.Get[[]realkafka.Record](t)(realkafka.Read(t.Context(), c.Bootstrap(realkafka.Plaintext), topic))
	if diff := cmp.Diff(before, after); diff != "" || len(before) == 0 {
		t.Errorf("%d records before, after the restart:\n%s", len(before), diff)
	}
}
