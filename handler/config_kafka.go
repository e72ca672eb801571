package main

import (
	"errors"
	"net"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"userrelay/handler/certs"
)

// kafkaSettings say how to reach the topic.
type kafkaSettings struct {
	Brokers   []string
	Topic     string
	Mechanism string // of SASL; "" none
	Username  string
	Password  string
	Scope     string // of tokens
	Extension map[string]string
	Timeout   time.Duration

	Certificates *certs.Certificates // of TLS; nil: plain connections
}

func loadKafka(env *environment) kafkaSettings {
	k := kafkaSettings{Topic: "user-events", Timeout: env.duration("KAFKA_TIMEOUT", 2*time.Second, minTimeout, maxDelivery)}
	list := env.text("KAFKA_BROKERS")
	if list == "" {
		env.fail("KAFKA_BROKERS", "is missing: host:port, or several separated by commas")
	} else {
		var err error
		if k.Brokers, err = parseBrokers(list); err != nil {
			env.fail("KAFKA_BROKERS", err.Error())
		}
	}
	if topic := env.text("KAFKA_TOPIC"); topic != "" {
		k.Topic = topic
		if !regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`).MatchString(topic) || topic == "." || topic == ".." {
			env.fail("KAFKA_TOPIC", "must be 1 to 249 of the characters a-z A-Z 0-9 . _ -, and neither . nor ..")
		}
	}
	loadSASL(env, &k)
	loadTLS(env, &k, protocol(env, &k))
	return k
}

// protocol returns the security protocol, "" if other mistakes make it unknown. The default is encrypted, except for
// loopback.
func protocol(env *environment, k *kafkaSettings) string {
	const name = "KAFKA_SECURITY_PROTOCOL"
	p := env.oneOf(name, "", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
	switch {
	case env.failed[name], p == "" && (env.failed["KAFKA_SASL_MECHANISM"] || env.failed["KAFKA_BROKERS"]):
		return "" // it cannot be known
	case p == "" && k.Mechanism != "":
		return "SASL_SSL"
	case p == "" && loopback(k.Brokers):
		return "PLAINTEXT"
	case p == "":
		return "SSL"
	case env.failed["KAFKA_SASL_MECHANISM"]: // whether they go together depends on it
	case strings.HasPrefix(p, "SASL_") && k.Mechanism == "":
		env.fail(name, p+" needs KAFKA_SASL_MECHANISM")
	case !strings.HasPrefix(p, "SASL_") && k.Mechanism != "":
		env.fail(name, "must be SASL_SSL or SASL_PLAINTEXT where KAFKA_SASL_MECHANISM is set")
	}
	return p
}

func loadSASL(env *environment, k *kafkaSettings) {
	k.Mechanism = env.oneOf("KAFKA_SASL_MECHANISM", "", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
	k.Username, k.Password = env.text("KAFKA_SASL_USERNAME"), loadPassword(env)
	k.Scope = env.text("KAFKA_OAUTH_SCOPE")
	extensions := env.text("KAFKA_OAUTH_EXTENSIONS")
	if env.failed["KAFKA_SASL_MECHANISM"] {
		return // whether the others are wrong depends on it
	}
	checkPassword(env, k)
	if k.Mechanism != "OAUTHBEARER" {
		if k.Scope != "" {
			env.fail("KAFKA_OAUTH_SCOPE", "is for the mechanism OAUTHBEARER")
		}
		if extensions != "" {
			env.fail("KAFKA_OAUTH_EXTENSIONS", "is for the mechanism OAUTHBEARER")
		}
		return
	}
	if k.Scope == "" && len(k.Brokers) > 0 {
		host, _, _ := net.SplitHostPort(k.Brokers[0]) // parseBrokers has read it
		k.Scope = "https://" + host + "/.default"
	}
	var err error
	if k.Extension, err = parseExtensions(extensions); err != nil {
		env.fail("KAFKA_OAUTH_EXTENSIONS", err.Error())
	}
}

// checkPassword checks that user name and password are set if the mechanism needs them, and only then.
func checkPassword(env *environment, k *kafkaSettings) {
	const user, secret = "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD" //nolint:gosec // G101: the names of the settings
	if k.Mechanism == "" || k.Mechanism == "OAUTHBEARER" {
		const rule = "is for the mechanisms PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512: set KAFKA_SASL_MECHANISM to one of them"
		if k.Username != "" {
			env.fail(user, rule)
		}
		if k.Password != "" {
			env.fail(secret, rule)
		}
		return
	}
	if k.Username == "" {
		env.fail(user, "is missing, "+k.Mechanism+" needs it")
	}
	if k.Password == "" {
		env.fail(secret, "is missing, "+k.Mechanism+" needs it")
	}
	if !utf8.ValidString(k.Username) || k.Mechanism != "PLAIN" && strings.ContainsFunc(k.Username, func(r rune) bool { return r > unicode.MaxASCII }) {
		env.fail(user, "must be ASCII for SCRAM and valid UTF-8 for PLAIN: brokers accept no other names")
	}
}

// loadPassword returns the password unchanged: white space and quotes can be a part of it.
func loadPassword(env *environment) string {
	const name = "KAFKA_SASL_PASSWORD"
	password := env.raw(name)
	switch {
	case !utf8.ValidString(password):
		env.fail(name, "must be valid UTF-8: brokers accept no other passwords")
	case quoted(password):
		env.warn(name, "begins and ends with quotes, which are read as part of the password: remove them unless they are")
	case strings.TrimSpace(password) != password:
		env.warn(name, "begins or ends with white space, which is read as part of the password: remove it unless it is")
	}
	return password
}

// parseExtensions reads name=value pairs separated by commas (KIP-342: names are letters, values printable).
func parseExtensions(list string) (map[string]string, error) {
	if list == "" {
		return nil, nil //nolint:nilnil // no extensions are none
	}
	pair := regexp.MustCompile(`^([A-Za-z]+)=([!-~][ -~]*)$`)
	extensions := map[string]string{}
	for e := range strings.SplitSeq(list, ",") {
		m := pair.FindStringSubmatch(strings.TrimSpace(e))
		if m == nil || m[1] == "auth" {
			return nil, errors.New("must be name=value pairs separated by commas, such as logicalCluster=lkc-1; names are letters and not auth")
		}
		extensions[m[1]] = m[2]
	}
	return extensions, nil
}

// loadTLS reads the certificates.
func loadTLS(env *environment, k *kafkaSettings, protocol string) {
	s := certs.Settings{
		CA: strings.TrimSpace(env.raw(certs.CAName)), Cert: strings.TrimSpace(env.raw(certs.CertName)), Key: strings.TrimSpace(env.raw(certs.KeyName)),
	}
	if strings.HasSuffix(protocol, "PLAINTEXT") {
		for _, setting := range [][2]string{{certs.CAName, s.CA}, {certs.CertName, s.Cert}, {certs.KeyName, s.Key}} {
			if setting[1] != "" {
				env.fail(setting[0], "is for the security protocols SSL and SASL_SSL")
			}
		}
		return
	}
	certificates, problems := certs.New(s)
	for _, p := range problems {
		env.fail(p.Name, p.Text)
	}
	if certificates == nil {
		return
	}
	for _, w := range certificates.Warnings(time.Now()) {
		env.warn(w.Name, w.Text)
	}
	k.Certificates = certificates
}
