package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"userrelay/auth0/backfill/topic"
	"userrelay/handler/identity"
	"userrelay/handler/outbox"
)

// readKafka reads the function app's own settings of Kafka. value returns a setting as it is.
func readKafka(value func(string) string, login func(scope string) (*identity.Tokens, error)) (topic.Config, error) {
	text := func(name string) string { return pasted(name, value(name)) }
	c := topic.Config{Topic: text("KAFKA_TOPIC")}
	if c.Topic == "" {
		c.Topic = "user-events"
	}
	var (
		problems []error
		local    bool
		err      error
	)
	if c.Brokers, local, err = readBrokers(text("KAFKA_BROKERS")); err != nil {
		problems = append(problems, err)
	}
	mechanism := strings.ToUpper(text("KAFKA_SASL_MECHANISM"))
	protocol := cmp.Or(strings.ToUpper(text("KAFKA_SECURITY_PROTOCOL")), safeProtocol(mechanism != "", local))
	if !slices.Contains([]string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, protocol) || strings.HasPrefix(protocol, "SASL_") != (mechanism != "") {
		problems = append(problems, errors.New("KAFKA_SECURITY_PROTOCOL: must be PLAINTEXT or SSL, or with KAFKA_SASL_MECHANISM SASL_PLAINTEXT or SASL_SSL"))
	}
	if c.SASL, err = readSASL(mechanism, value, c.Brokers, login); err != nil {
		problems = append(problems, err)
	}
	if strings.HasSuffix(protocol, "SSL") {
		if c.TLS, err = readTLS(text); err != nil {
			problems = append(problems, err)
		}
	}
	return c, errors.Join(problems...)
}

// readBrokers reads a list of host:port, and says whether all of them are on this machine.
func readBrokers(list string) (brokers []string, local bool, err error) {
	local = true
	for broker := range strings.SplitSeq(list, ",") {
		broker = strings.TrimSpace(broker)
		host, port, err := net.SplitHostPort(broker)
		if err != nil || host == "" || port == "" {
			return nil, false, errors.New("KAFKA_BROKERS: must be host:port, or several separated by commas")
		}
		ip := net.ParseIP(host)
		local = local && (host == "localhost" || ip != nil && ip.IsLoopback())
		brokers = append(brokers, broker)
	}
	return brokers, local, nil
}

// safeProtocol is the security protocol where none is set: encrypted, but for this machine.
func safeProtocol(login, local bool) string {
	switch {
	case login:
		return "SASL_SSL"
	case local:
		return "PLAINTEXT"
	}
	return "SSL"
}

func readSASL(mechanism string, value func(string) string, brokers []string, login func(string) (*identity.Tokens, error)) (sasl.Mechanism, error) {
	name, password := pasted("KAFKA_SASL_USERNAME", value("KAFKA_SASL_USERNAME")), value("KAFKA_SASL_PASSWORD")
	if slices.Contains([]string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}, mechanism) && (name == "" || password == "") {
		return nil, errors.New("KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: must be set for " + mechanism)
	}
	switch mechanism {
	case "":
		return nil, nil //nolint:nilnil // no login is none
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

func readOAuth(value func(string) string, brokers []string, login func(string) (*identity.Tokens, error)) (sasl.Mechanism, error) {
	scope := pasted("KAFKA_OAUTH_SCOPE", value("KAFKA_OAUTH_SCOPE"))
	if scope == "" && len(brokers) > 0 {
		host, _, _ := net.SplitHostPort(brokers[0]) // it was read
		scope = "https://" + host + "/.default"
	}
	tokens, err := login(scope)
	if err != nil {
		return nil, errors.New("KAFKA_SASL_MECHANISM: OAUTHBEARER needs an identity of Azure's: log in with az login")
	}
	extensions := map[string]string{}
	for pair := range strings.SplitSeq(pasted("KAFKA_OAUTH_EXTENSIONS", value("KAFKA_OAUTH_EXTENSIONS")), ",") {
		if name, said, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			extensions[name] = said
		}
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		bearer, err := tokens.Get(ctx)
		return oauth.Auth{Token: bearer, Extensions: extensions}, err
	}), nil
}

// readTLS reads certificates: PEM text, in which \n may stand for a line's end, or the names of files.
func readTLS(text func(string) string) (*tls.Config, error) {
	pem := func(name string) []byte {
		value := text(name)
		if strings.Contains(value, "-----BEGIN") {
			return []byte(strings.ReplaceAll(value, `\n`, "\n"))
		}
		file, err := os.ReadFile(value)
		if err != nil {
			return nil // no certificate is in it
		}
		return file
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if text("KAFKA_TLS_CA") != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem("KAFKA_TLS_CA")) {
			return nil, errors.New("KAFKA_TLS_CA: must be certificates in PEM, as text or as the path of a file that can be read")
		}
	}
	if text("KAFKA_TLS_CERT") != "" || text("KAFKA_TLS_KEY") != "" {
		pair, err := tls.X509KeyPair(pem("KAFKA_TLS_CERT"), pem("KAFKA_TLS_KEY"))
		if err != nil {
			return nil, errors.New("KAFKA_TLS_CERT and KAFKA_TLS_KEY: must be a certificate and its key in PEM, as text or as paths of files that can be read")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// readOutbox reads the function app's own settings of the storage account that holds the outbox; nil where there is none.
func readOutbox(value func(string) string, login func(scope string) (*identity.Tokens, error)) (*outbox.Config, error) {
	text := func(name string) string { return pasted(name, value(name)) }
	if strings.EqualFold(text("OUTBOX"), "off") {
		return nil, nil //nolint:nilnil // no outbox is none
	}
	for name, parse := range map[string]func(string) (outbox.Account, error){
		"AzureWebJobsStorage": outbox.ParseConnectionString, "AzureWebJobsStorage__accountName": outbox.NamedAccount,
		"AzureWebJobsStorage__queueServiceUri": outbox.AccountAt,
	} {
		if text(name) == "" {
			continue
		}
		account, err := parse(text(name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		c := &outbox.Config{Account: account}
		if account.ByIdentity() {
			if c.Tokens, err = login(outbox.Scope); err != nil {
				return nil, errors.New(name + ": needs an identity of Azure's: log in with az login")
			}
		}
		return c, nil
	}
	return nil, errors.New("AzureWebJobsStorage, or AzureWebJobsStorage__accountName or __queueServiceUri: must be set, for the outbox; OUTBOX=off where there is none")
}
