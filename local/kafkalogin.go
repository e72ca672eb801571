package main

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/handler/identity"
	"userrelay/local/kafkasettings"
)

// login returns the page's login to the user's own Kafka: with the handler's settings, or as a plain connection
// without them. The errors name settings, and hold no value.
func (s *stack) login() ([]kgo.Opt, error) {
	if s.kafka == "" || s.kafka == apacheName || !s.loginOrTLS() {
		return nil, nil
	}
	read, err := kafkasettings.Read(func(name string) string {
		if name == "KAFKA_BROKERS" {
			return s.kafka
		}
		return s.setting(name)
	}, identity.Identity{}.Tokens)
	return read.Login, err
}

// setting returns a setting of the handler, from -env or else from the environment.
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
