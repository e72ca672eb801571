// Package kafkasettings reads the handler's Kafka settings for franz-go, for programs that read the topic.
//
// It accepts everything that the handler accepts, and gives no warnings. No error holds a value.
package kafkasettings

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"userrelay/handler/certs"
	"userrelay/handler/identity"
	"userrelay/handler/setting"
)

// Settings say how to reach the topic.
type Settings struct {
	Brokers []string // host:port
	Topic   string
	Login   []kgo.Opt // TLS and SASL; none: a plain connection
}

// Values returns the value of the setting with this name, or "".
type Values func(name string) string

// Login returns the tokens of this machine's identity for a scope, for OAUTHBEARER.
type Login func(scope string) (*identity.Tokens, error)

// Read reads the settings. The error lists all mistakes. Certificates are read once: renewed files need another Read.
func Read(value Values, login Login) (Settings, error) {
	s := Settings{Topic: cmp.Or(value.text("KAFKA_TOPIC"), "user-events")}
	var (
		problems []error
		local    bool
		err      error
	)
	if s.Brokers, local, err = readBrokers(value.text("KAFKA_BROKERS")); err != nil {
		problems = append(problems, err)
	}
	mechanism := strings.ToUpper(value.text("KAFKA_SASL_MECHANISM"))
	protocol := cmp.Or(strings.ToUpper(value.text("KAFKA_SECURITY_PROTOCOL")), safeProtocol(mechanism != "", local))
	if !slices.Contains([]string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, protocol) || strings.HasPrefix(protocol, "SASL_") != (mechanism != "") {
		problems = append(problems, errors.New("KAFKA_SECURITY_PROTOCOL: must be PLAINTEXT or SSL, or with KAFKA_SASL_MECHANISM SASL_PLAINTEXT or SASL_SSL"))
	}
	if mechanism != "" {
		m, err := readSASL(mechanism, value, s.Brokers, login)
		problems, s.Login = append(problems, err), append(s.Login, kgo.SASL(m))
	}
	if strings.HasSuffix(protocol, "SSL") {
		config, err := readTLS(value)
		problems, s.Login = append(problems, err), append(s.Login, kgo.DialTLSConfig(config))
	}
	if err := errors.Join(problems...); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// text returns a setting without the white space around it.
func (v Values) text(name string) string { return strings.TrimSpace(v(name)) }

// readBrokers reads a list of host:port, and says whether all of them are on this machine.
func readBrokers(list string) (brokers []string, local bool, err error) {
	local = true
	for broker := range strings.SplitSeq(list, ",") {
		broker = strings.TrimSpace(broker)
		host, port, err := net.SplitHostPort(broker)
		if err != nil || host == "" || port == "" {
			return nil, false, errors.New("KAFKA_BROKERS: must be host:port, or several separated by commas")
		}
		local = local && setting.Loopback(host)
		brokers = append(brokers, broker)
	}
	return brokers, local, nil
}

// safeProtocol returns the default security protocol: encrypted, except for this machine.
func safeProtocol(login, local bool) string {
	switch {
	case login:
		return "SASL_SSL"
	case local:
		return "PLAINTEXT"
	}
	return "SSL"
}

func readSASL(mechanism string, value Values, brokers []string, login Login) (sasl.Mechanism, error) {
	name, password := value.text("KAFKA_SASL_USERNAME"), value("KAFKA_SASL_PASSWORD") // which may begin and end with white space
	if slices.Contains([]string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}, mechanism) && (name == "" || password == "") {
		return nil, errors.New("KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: must be set for " + mechanism)
	}
	switch mechanism {
	case "PLAIN":
		return plain.Auth{User: name, Pass: password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: name, Pass: password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: name, Pass: password}.AsSha512Mechanism(), nil
	case "OAUTHBEARER":
		return readOAuth(value, brokers, login)
	}
	return nil, errors.New("KAFKA_SASL_MECHANISM: must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER")
}

func readOAuth(value Values, brokers []string, login Login) (sasl.Mechanism, error) {
	scope := value.text("KAFKA_OAUTH_SCOPE")
	if scope == "" && len(brokers) > 0 {
		host, _, _ := net.SplitHostPort(brokers[0]) // it was read
		scope = "https://" + host + "/.default"
	}
	tokens, err := login(scope)
	if err != nil {
		return nil, errors.New("KAFKA_SASL_MECHANISM: OAUTHBEARER needs an Azure identity: log in with az login")
	}
	extensions := map[string]string{}
	for pair := range strings.SplitSeq(value.text("KAFKA_OAUTH_EXTENSIONS"), ",") {
		if name, said, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			extensions[name] = said
		}
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		token, err := tokens.Get(ctx)
		return oauth.Auth{Token: token, Extensions: extensions}, err
	}), nil
}

func readTLS(value Values) (*tls.Config, error) {
	read, problems := certs.New(certs.Settings{CA: value.text(certs.CAName), Cert: value.text(certs.CertName), Key: value.text(certs.KeyName)})
	if len(problems) == 0 {
		return read.TLS(), nil
	}
	var all []error
	for _, p := range problems {
		rule := "KAFKA_TLS_CERT and KAFKA_TLS_KEY: must be a certificate and its key in PEM, as text or as paths of files that can be read"
		if p.Name == certs.CAName {
			rule = "KAFKA_TLS_CA: must be certificates in PEM, as text or as the path of a file that can be read"
		}
		all = append(all, errors.New(rule+"; "+p.Name+" "+p.Text))
	}
	return nil, errors.Join(all...)
}
