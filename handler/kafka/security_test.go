package kafka_test

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"userrelay/handler/kafka"
)

// scramServer knows one user in the way Kafka does: by the unprepared bytes of name and password.
func scramServer(t *testing.T, mechanism, user, password string) *scram.ServerConversation {
	t.Helper()
	generate, newHash := scram.SHA256, sha256.New
	if mechanism == "SCRAM-SHA-512" {
		generate, newHash = scram.SHA512, sha512.New
	}
	const salt, rounds = "salt", 4096
	salted, err := pbkdf2.Key(newHash, password, []byte(salt), rounds, newHash().Size())
	if err != nil {
		t.Fatal(err)
	}
	mac := func(text string) []byte {
		m := hmac.New(newHash, salted)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	sum := func(h hash.Hash, b []byte) []byte {
		h.Write(b)
		return h.Sum(nil)
	}
	server, err := generate.NewServer(func(name string) (scram.StoredCredentials, error) {
		c := scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: salt, Iters: rounds},
			StoredKey:  sum(newHash(), mac("Client Key")), ServerKey: mac("Server Key"),
		}
		name = strings.ReplaceAll(strings.ReplaceAll(name, "=2C", ","), "=3D", "=") // as Kafka's ScramFormatter does
		if name != user {
			t.Errorf("the name arrives as %q, want %q", name, user)
		}
		return c, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return server.NewConversation()
}

// Names and passwords are hashed byte for byte.
func TestSCRAM(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ user, password string }{
		"plain":              {"alice", "secret"},
		"a half":             {"zoë½", "½"},
		"a no-break space":   {"alice", "a\u00a0b"},
		"an emoji":           {"🔑", "🔑"},
		"Arabic with digits": {"alice", "مرحبا123"},
		"a line end":         {"alice", "secret\n"},
		"signs of the form":  {"a,b=c=2C", "n=,r=,="},
	} {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			t.Run(name+", "+mechanism, func(t *testing.T) {
				t.Parallel()
				login := kafka.SCRAM(mechanism, c.user, c.password)
				if login.Name() != mechanism {
					t.Errorf("the mechanism is %s", login.Name())
				}
				for range 2 { // a mechanism logs in many times
					server := scramServer(t, mechanism, c.user, c.password)
					session, message, err := login.Start(t.Context())
					for done := false; err == nil && !done; {
						var challenge string
						if challenge, err = server.Step(string(message)); err == nil {
							done, message, err = session.Next(t.Context(), []byte(challenge))
						}
					}
					if err != nil || !server.Valid() {
						t.Errorf("valid %t, error %v", server.Valid(), err)
					}
				}
			})
		}
	}
}

// A broker that does not know the password is not trusted.
func TestSCRAMBrokerMustProve(t *testing.T) {
	t.Parallel()
	server := scramServer(t, "SCRAM-SHA-256", "alice", "secret")
	session, message, err := kafka.SCRAM("SCRAM-SHA-256", "alice", "secret").Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	challenge, err := server.Step(string(message))
	if err != nil {
		t.Fatal(err)
	}
	if done, _, err := session.Next(t.Context(), []byte(challenge)); done || err != nil {
		t.Fatalf("done %t, error %v", done, err)
	}
	for _, final := range []string{"v=AAAA", "e=", "", "v="} {
		if _, _, err := session.Next(t.Context(), []byte(final)); err == nil {
			t.Errorf("%q is taken for a proof", final)
		}
	}
}
