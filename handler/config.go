package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"userrelay/handler/insights"
	"userrelay/handler/registration"
)

// settings are the program's settings, as the environment has them and as they have been checked.
type settings struct {
	Port int // where the Functions host looks for the handler

	Kafka  kafkaSettings
	Outbox *outboxSettings // nil: switched off

	Profile bool   // records carry the profile
	Tenant  string // Auth0 tenant where a request names none

	Insights       *insights.Connection     // nil: console only
	Identity       *insights.Authentication // that sends telemetry; nil: items go without a token
	Role, Instance string                   // of this program on the application map

	LogLevel slog.Level
	JSON     bool // console lines are JSON
	Lines    bool // a console line for every event
}

// configError lists all that is wrong with the settings. It names settings and rules, never values.
type configError []string

func (e configError) Error() string {
	return fmt.Sprintf("%d wrong: %s", len(e), strings.Join(e, "; "))
}

// lookup returns a function that finds settings in an environment as the Functions host does: without regard to case. One
// that is spelt as asked for wins.
func lookup(environ []string) func(name string) string {
	exact, folded := map[string]string{}, map[string]string{}
	for _, setting := range environ {
		name, value, _ := strings.Cut(setting, "=")
		exact[name], folded[strings.ToLower(name)] = value, value
	}
	return func(name string) string {
		if value, ok := exact[name]; ok {
			return value
		}
		return folded[strings.ToLower(name)]
	}
}

// environment reads settings and collects what is wrong with them.
type environment struct {
	get   func(string) string
	wrong configError
}

func (e *environment) fail(name, rule string) { e.wrong = append(e.wrong, name+": "+rule) }

// text returns a setting without the white space around it, which no setting means.
func (e *environment) text(name string) string { return strings.TrimSpace(e.get(name)) }

// oneOf returns a setting that must be one of the words, the first of which is the default. Case does not matter.
func (e *environment) oneOf(name string, words ...string) string {
	value := e.text(name)
	if value == "" {
		return words[0]
	}
	for _, w := range words {
		if strings.EqualFold(value, w) {
			return w
		}
	}
	e.fail(name, "must be one of "+strings.Join(slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" }), ", "))
	return words[0]
}

func (e *environment) duration(name string, byDefault, limit time.Duration) time.Duration {
	value := e.text(name)
	if value == "" {
		return byDefault
	}
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 || d > limit {
		e.fail(name, fmt.Sprintf("must be a duration such as %v, above 0 and at most %v", byDefault, limit))
		return byDefault
	}
	return d
}

// load reads and checks all settings. serving says whether the program is to answer the Functions host, which sets the
// port. The error is a configError.
func load(get func(string) string, serving bool) (settings, error) {
	env := &environment{get: get}
	s := settings{
		Kafka:   loadKafka(env),
		Outbox:  loadOutbox(env),
		Profile: env.oneOf("RECORD_PROFILE", "id", "full") == "full",
		Tenant:  env.text("AUTH0_TENANT"),
	}
	s.Port = loadPort(env, serving)
	if s.Outbox != nil && s.Kafka.Timeout+s.Outbox.Timeout > maxDelivery {
		env.fail("OUTBOX_TIMEOUT", fmt.Sprintf("must be at most %v together with KAFKA_TIMEOUT: callers do not wait longer", maxDelivery))
	}
	if s.Tenant != "" && !registration.ValidTenant(s.Tenant) {
		env.fail("AUTH0_TENANT", "must be the tenant's name: 1 to 128 of the characters a-z A-Z 0-9 . _ -")
	}
	s.Insights, s.Identity = loadInsights(env)
	s.Role, s.Instance = role(env), instance(env)
	if err := s.LogLevel.UnmarshalText([]byte(env.oneOf("LOG_LEVEL", "info", "debug", "warn", "error"))); err != nil {
		env.fail("LOG_LEVEL", "must be one of debug, info, warn, error") // oneOf lets none of these pass
	}
	development := strings.EqualFold(env.text("AZURE_FUNCTIONS_ENVIRONMENT"), "Development")
	s.JSON = env.text("WEBSITE_SITE_NAME") != "" && !development
	s.Lines = development || s.Insights == nil
	if len(env.wrong) > 0 {
		return settings{}, env.wrong
	}
	return s, nil
}

func loadInsights(env *environment) (*insights.Connection, *insights.Authentication) {
	var connection *insights.Connection
	if text := env.text("APPLICATIONINSIGHTS_CONNECTION_STRING"); text != "" {
		c, err := insights.ParseConnection(text)
		if err != nil {
			env.fail("APPLICATIONINSIGHTS_CONNECTION_STRING", err.Error())
		} else {
			connection = &c
		}
	}
	const name = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
	text := env.text(name)
	if text == "" {
		return connection, nil
	}
	a, err := insights.ParseAuthentication(text)
	if err != nil {
		env.fail(name, err.Error())
	} else if connection != nil && !connection.Confidential() {
		env.fail(name, "needs an ingestion endpoint of https in APPLICATIONINSIGHTS_CONNECTION_STRING: a token must not travel in the clear")
	}
	return connection, &a
}

func loadPort(env *environment, serving bool) int {
	const name = "FUNCTIONS_CUSTOMHANDLER_PORT"
	value := env.text(name)
	if value == "" && !serving {
		return 0
	}
	port, err := strconv.Atoi(value)
	switch {
	case value == "":
		env.fail(name, "is missing; the Functions host sets it: start the app with `func start` or `go run ./local`")
	case err != nil || port < 1 || port > 65535:
		env.fail(name, "must be a port, 1 to 65535")
	}
	return port
}

// role is the name of the node on the application map: the one that the Functions host gives itself, so that both are
// one node (azure-webjobs-sdk, WebJobsRoleEnvironmentTelemetryInitializer).
func role(env *environment) string {
	if name := env.text("WEBSITE_CLOUD_ROLENAME"); name != "" {
		return name
	}
	name := env.text("WEBSITE_SITE_NAME")
	if slot := env.text("WEBSITE_SLOT_NAME"); name != "" && slot != "" && !strings.EqualFold(slot, "production") {
		name += "-" + slot
	}
	if name == "" {
		return "userrelay"
	}
	return strings.ToLower(name)
}

// instance is the name of the instance as the Functions host has it (azure-webjobs-sdk, WebJobsRoleInstanceProvider).
func instance(env *environment) string {
	for _, name := range []string{"WEBSITE_INSTANCE_ID", "COMPUTERNAME", "CONTAINER_NAME"} {
		if value := env.text(name); value != "" {
			return value
		}
	}
	return ""
}

var errNoBroker = errors.New("must be host:port, several with commas between them")

// parseBrokers reads a list of host:port.
func parseBrokers(list string) ([]string, error) {
	var brokers []string
	for broker := range strings.SplitSeq(list, ",") {
		broker = strings.TrimSpace(broker)
		host, port, err := net.SplitHostPort(broker)
		n, numErr := strconv.ParseUint(port, 10, 16)
		if err != nil || numErr != nil || n == 0 || !regexp.MustCompile(`^[0-9A-Za-z._:-]+$`).MatchString(host) {
			return nil, errNoBroker
		}
		brokers = append(brokers, broker)
	}
	return brokers, nil
}

func loopback(brokers []string) bool {
	return !slices.ContainsFunc(brokers, func(b string) bool {
		host, _, err := net.SplitHostPort(b)
		ip := net.ParseIP(host)
		return err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback())
	})
}
