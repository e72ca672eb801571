package kafka_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/handler/kafka"
)

// TestSCRAM logs in with names and passwords that SASLprep would change or refuse. userrelay/test/kafka has more of them.
func TestSCRAM(t *testing.T) {
	t.Parallel()
	for mechanism, password := range map[string]string{"SCRAM-SHA-256": "½\u00a0🔑", "SCRAM-SHA-512": "n=,r=,\n"} {
		virtually(t, mechanism, func(v *virtual) {
			b := v.broker(kfake.EnableSASL(), kfake.Superuser(mechanism, "alice", password))
			p := v.producer(b, func(c *kafka.Config) { c.SASL = kafka.SCRAM(mechanism, "alice", password) })
			v.store(p, record("x"))
			v.cut(b.ListenAddrs()[0])
			v.store(p, record("y")) // a mechanism logs in many times
		})
	}
}

// A broker that does not know the password is not trusted.
func TestSCRAMBrokerMustProve(t *testing.T) {
	t.Parallel()
	session, first, err := kafka.SCRAM("SCRAM-SHA-256", "alice", "secret").Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, nonce, _ := strings.Cut(string(first), ",r=")
	if done, _, err := session.Next(t.Context(), []byte("r="+nonce+"of-the-broker,s=c2FsdA==,i=4096")); done || err != nil {
		t.Fatalf("done %t, error %v", done, err)
	}
	for _, final := range []string{"v=AAAA", "e=", "", "v="} {
		if _, _, err := session.Next(t.Context(), []byte(final)); err == nil {
			t.Errorf("%q is taken for a proof", final)
		}
	}
}
