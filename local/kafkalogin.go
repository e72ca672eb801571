package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// login is how the page enters the user's own Kafka: with the handler's settings. Without any it is plain text, or the
// handler's default. The errors name settings, and hold no value.
func (s *stack) login() ([]kgo.Opt, error) {
	if s.kafka == "" || s.kafka == apacheName || !s.loginOrTLS() {
		return nil, nil
	}
	var opts []kgo.Opt
	user, password := s.setting("KAFKA_SASL_USERNAME"), s.setting("KAFKA_SASL_PASSWORD")
	switch mechanism := s.setting("KAFKA_SASL_MECHANISM"); mechanism {
	case "":
	case "PLAIN":
		opts = append(opts, kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
	case "SCRAM-SHA-256":
		opts = append(opts, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		opts = append(opts, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()))
	default:
		s.say("The page cannot read the topic: it knows no KAFKA_SASL_MECHANISM of that name. The handler is not affected.")
	}
	protocol := s.setting("KAFKA_SECURITY_PROTOCOL")
	if protocol == "SSL" || protocol == "SASL_SSL" || protocol == "" && (len(opts) > 0 || !onLoopback(s.kafka)) {
		config, err := s.tlsConfig()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(config))
	}
	return opts, nil
}

func (s *stack) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if name := "KAFKA_TLS_CA"; s.setting(name) != "" {
		text, err := pemOf(name, s.setting(name))
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New(name + " holds no certificate that the page can read")
		}
	}
	if name := "KAFKA_TLS_CERT"; s.setting(name) != "" {
		cert, err := pemOf(name, s.setting(name))
		if err != nil {
			return nil, err
		}
		key := cert // one text may hold both
		if keyName := "KAFKA_TLS_KEY"; s.setting(keyName) != "" {
			if key, err = pemOf(keyName, s.setting(keyName)); err != nil {
				return nil, err
			}
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, errors.New(name + " and KAFKA_TLS_KEY are no pair that the page can read")
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// pemOf returns PEM text: the value itself, or what is in the file that it names.
func pemOf(name, value string) ([]byte, error) {
	if strings.Contains(value, "-----BEGIN") {
		return []byte(strings.ReplaceAll(value, `\n`, "\n")), nil
	}
	text, err := os.ReadFile(value)
	if err != nil {
		return nil, fmt.Errorf("%s: the page cannot read its file", name)
	}
	return text, nil
}

// setting is a setting of the handler: -env's, else the environment's.
func (s *stack) setting(name string) (value string) {
	for _, settings := range [][]string{s.env, s.extra} {
		for _, setting := range settings {
			if v, ok := strings.CutPrefix(setting, name+"="); ok {
				value = v
			}
		}
	}
	return value
}
