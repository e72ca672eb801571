package main

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"userrelay/handler/identity"
	"userrelay/local/kafkasettings"
)

// login is how the page enters the user's own Kafka: with the handler's settings, and without any of them in plain text. The
// errors name settings, and hold no value.
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
