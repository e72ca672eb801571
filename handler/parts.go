package main

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/segmentio/kafka-go/sasl"

	"userrelay/handler/app"
	"userrelay/handler/identity"
	"userrelay/handler/insights/ingest"
	"userrelay/handler/kafka"
	"userrelay/handler/outbox"
	"userrelay/handler/registration"
)

// appConfig makes the handler's configuration of the settings.
func appConfig(s settings, console *slog.Logger) (app.Config, error) {
	c := app.Config{
		KafkaTimeout: s.Kafka.Timeout,
		Decoder:      registration.Decoder{Tenant: s.Tenant, Profile: s.Profile},
		Origin:       s.origin(), Role: s.Role, Instance: s.Instance, Lines: s.Lines,
		Version: buildVersion(), Build: sync.OnceValue(thisBuild), Console: console,
	}
	if s.Kafka.Certificates != nil {
		s.Kafka.Certificates.Log(console)
	}
	var err error
	if c.Kafka, err = kafkaConfig(s.Kafka); err != nil {
		return app.Config{}, err
	}
	if s.Outbox != nil {
		queue, err := outboxConfig(s)
		if err != nil {
			return app.Config{}, err
		}
		c.Outbox, c.OutboxTimeout = &queue, s.Outbox.Timeout
	}
	if s.Insights != nil {
		telemetry, err := telemetryConfig(s)
		if err != nil { // registrations do not fail for telemetry's sake
			console.Warn("There is no telemetry; registrations are stored all the same", "setting", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "why", err)
			c.Lines = true
		} else {
			c.Insights = &telemetry
		}
	}
	return c, nil
}

// origin says which app this is, and which Kafka it uses.
func (s settings) origin() registration.Origin {
	return registration.Origin{App: s.Site, Topic: s.Kafka.Topic, Brokers: s.Kafka.Brokers}
}

// telemetryConfig returns the configuration of the sender to Application Insights.
func telemetryConfig(s settings) (ingest.Config, error) {
	c := ingest.Config{Connection: *s.Insights}
	if s.Identity != nil {
		tokens, err := s.Identity.Tokens(s.Insights.Scope())
		if err != nil {
			return ingest.Config{}, err
		}
		c.Token = tokens.Get
	}
	return c, nil
}

// outboxConfig makes the outbox's configuration of the settings.
func outboxConfig(s settings) (outbox.Config, error) {
	c := outbox.Config{Account: s.Outbox.Account, Profile: s.Profile, Origin: s.origin()}
	if s.Outbox.Account.ByIdentity() {
		var err error
		if c.Tokens, err = s.Outbox.Identity.Tokens(outbox.Scope); err != nil {
			return outbox.Config{}, fmt.Errorf("set up access to the storage account: %w", err)
		}
	}
	return c, nil
}

// newOutbox sets up the outbox.
func newOutbox(s settings) (*outbox.Queue, error) {
	c, err := outboxConfig(s)
	if err != nil {
		return nil, err
	}
	q, err := outbox.New(c)
	if err != nil {
		return nil, fmt.Errorf("set up the outbox: %w", err)
	}
	return q, nil
}

// kafkaConfig makes the producer's configuration of the settings.
func kafkaConfig(k kafkaSettings) (kafka.Config, error) {
	login, err := mechanism(k)
	c := kafka.Config{Brokers: k.Brokers, Topic: k.Topic, ClientID: "userrelay", SASL: login}
	if k.Certificates != nil {
		c.TLS, c.CurrentTLS = k.Certificates.TLS(), k.Certificates.TLS
	}
	return c, err
}

// mechanism returns the login, or nil without one.
func mechanism(k kafkaSettings) (sasl.Mechanism, error) {
	switch k.Mechanism {
	case "":
		return nil, nil //nolint:nilnil // no login is none
	case "PLAIN":
		return kafka.Plain(k.Username, k.Password), nil
	case "OAUTHBEARER":
		tokens, err := identity.Identity{}.Tokens(k.Scope)
		if err != nil {
			return nil, fmt.Errorf("log in with OAUTHBEARER: %w", err)
		}
		return kafka.OAuthBearer(tokens, k.Extension), nil
	default:
		return kafka.SCRAM(k.Mechanism, k.Username, k.Password), nil
	}
}
