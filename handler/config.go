package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"userrelay/handler/identity"
	"userrelay/handler/insights/ingest"
	"userrelay/handler/registration"
	"userrelay/handler/setting"
)

// settings are the program's settings, read from the environment and checked.
type settings struct {
	Port int // where the Functions host looks for the handler

	Kafka  kafkaSettings
	Outbox *outboxSettings // nil: switched off

	Profile bool   // records carry the profile
	Tenant  string // Auth0 tenant for requests that name none

	Insights       *ingest.Connection // nil: console only
	Identity       *identity.Identity // for sending telemetry; nil: items are sent without a token
	Role, Instance string             // of this program on the application map
	Site           string             // the function app, with its slot; "" outside of Azure

	LogLevel slog.Level
	JSON     bool // console lines are JSON
	Lines    bool // a console line for every event

	Warnings []string // about settings that look like a mistake but do not prevent a start
}

// purpose says for what the settings are read.
type purpose int

const (
	toServe purpose = iota // to answer the Functions host, which sets the port
	toCheck                // to find all that is wrong
	toTend                 // to look after the poison queue
)

const (
	maxDelivery = 4 * time.Second        // every answer is sent within it, whatever is broken
	minTimeout  = 100 * time.Millisecond // with less a working broker or queue would count as broken
)

// load reads and checks all settings. The error is a configError. Warnings are returned with an error, too.
//
// Wrong settings of telemetry must not stop registrations: they are an error for -check only, otherwise a warning. If
// there are other mistakes they are listed with them, so that all can be fixed at once.
func load(vars variables, what purpose) (settings, error) {
	env := newEnvironment(vars)
	s := loadAll(env, what)
	s.Warnings = env.warnings
	if len(env.wrong) > 0 {
		return settings{Warnings: env.warnings}, env.wrong
	}
	return s, nil
}

func loadAll(env *environment, what purpose) settings {
	s := settings{
		Kafka:   loadKafka(env),
		Outbox:  loadOutbox(env),
		Profile: env.oneOf("RECORD_PROFILE", "id", "full") == "full",
		Tenant:  env.text("AUTH0_TENANT"),
	}
	s.Port = loadPort(env, what)
	checkTimeouts(env, s)
	if s.Tenant != "" && !registration.ValidTenant(s.Tenant) {
		env.fail("AUTH0_TENANT", "must be the tenant's name: 1 to 128 of the characters a-z A-Z 0-9 . _ -")
	}
	s.Site, s.Instance = site(env), instance(env)
	s.Role = cmp.Or(env.text("WEBSITE_CLOUD_ROLENAME"), s.Site, "userrelay")
	if err := s.LogLevel.UnmarshalText([]byte(env.oneOf("LOG_LEVEL", "info", "debug", "warn", "error"))); err != nil {
		env.fail("LOG_LEVEL", "must be one of debug, info, warn, error") // oneOf lets none of these pass
	}
	development := strings.EqualFold(env.text("AZURE_FUNCTIONS_ENVIRONMENT"), "Development")
	s.JSON = loadFormat(env, env.text("WEBSITE_SITE_NAME") != "" && !development)
	others := len(env.wrong)
	s.Insights, s.Identity = loadInsights(env)
	if others == 0 && what != toCheck && len(env.wrong) > 0 {
		for _, line := range env.wrong {
			env.warnings = append(env.warnings, line+"; until then there is no telemetry, and registrations are stored all the same")
		}
		env.wrong, s.Insights, s.Identity = nil, nil, nil
	}
	s.Lines = development || s.Insights == nil
	warnUnknown(env)
	return s
}

// loadFormat says whether console lines are JSON. By default they are if a machine collects them.
func loadFormat(env *environment, collected bool) bool {
	switch env.text("LOG_FORMAT") {
	case "":
		return collected
	case "json":
		return true
	case "text":
	default:
		env.fail("LOG_FORMAT", "must be one of text, json")
	}
	return false
}

// checkTimeouts checks that a registration that uses up both timeouts is still answered in time.
func checkTimeouts(env *environment, s settings) {
	if s.Outbox == nil || s.Kafka.Timeout+s.Outbox.Timeout <= maxDelivery {
		return
	}
	name, other := "OUTBOX_TIMEOUT", "KAFKA_TIMEOUT"
	if env.text(name) == "" {
		name, other = other, fmt.Sprintf("%s (%v)", name, s.Outbox.Timeout)
	}
	env.fail(name, fmt.Sprintf("must be at most %v together with %s: callers wait no longer", maxDelivery, other))
}

func loadInsights(env *environment) (*ingest.Connection, *identity.Identity) {
	const connectionName, name = "APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
	var connection *ingest.Connection
	if text := env.text(connectionName); text != "" {
		c, err := ingest.ParseConnection(text)
		if err != nil {
			env.fail(connectionName, err.Error())
		} else {
			connection = &c
		}
	}
	text := env.text(name)
	if text == "" {
		return connection, nil
	}
	a, err := identity.ParseAuthentication(text)
	if err != nil {
		env.fail(name, err.Error())
	} else if connection != nil && !connection.Confidential() {
		env.fail(name, "needs an ingestion endpoint of https in "+connectionName+": a token must not be sent unencrypted")
	}
	return connection, &a
}

func loadPort(env *environment, what purpose) int {
	const name = "FUNCTIONS_CUSTOMHANDLER_PORT"
	value := env.text(name)
	if value == "" && what != toServe {
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

// site is the name of the function app. The Functions host uses the same name for the node on the application map, so
// that host and handler are one node (azure-webjobs-sdk, WebJobsRoleEnvironmentTelemetryInitializer).
func site(env *environment) string {
	name := env.text("WEBSITE_SITE_NAME")
	if slot := env.text("WEBSITE_SLOT_NAME"); name != "" && slot != "" && !strings.EqualFold(slot, "production") {
		name += "-" + slot
	}
	return strings.ToLower(name)
}

// instance is the name that the Functions host uses for this instance (azure-webjobs-sdk,
// WebJobsRoleInstanceProvider).
func instance(env *environment) string {
	for _, name := range []string{"WEBSITE_INSTANCE_ID", "COMPUTERNAME", "CONTAINER_NAME"} {
		if value := env.text(name); value != "" {
			return value
		}
	}
	return ""
}

var errNoBroker = errors.New("must be host:port, or several separated by commas")

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
		return err != nil || !setting.Loopback(host)
	})
}
