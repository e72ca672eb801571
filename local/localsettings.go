package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// localSettings is a local.settings.json for func start with the services of this program.
func (s *stack) localSettings() ([]byte, error) {
	settings := s.handlerSettings()
	// The real host's trigger ends the whole host if its storage account is unreachable, and needs blobs; the handler
	// drains the queue itself.
	const trigger = "AzureWebJobs.DrainOutbox.Disabled"
	if !s.azurite && !s.isExtra(trigger) {
		settings = append(settings, [2]string{trigger, "true"})
	}
	var text bytes.Buffer
	text.WriteString("{\n  \"IsEncrypted\": false,\n  \"Values\": {\n")
	for i, setting := range settings {
		comma := ","
		if i == len(settings)-1 {
			comma = ""
		}
		fmt.Fprintf(&text, "    %s: %s%s\n", quoted(setting[0]), quoted(setting[1]), comma)
	}
	text.WriteString("  }\n}\n")
	return text.Bytes(), s.writeSettings(text.Bytes())
}

// writeSettings writes the file of -settings. It does not overwrite files with other content.
func (s *stack) writeSettings(text []byte) error {
	if s.settings == "" {
		return nil
	}
	old, err := os.ReadFile(s.settings)
	switch {
	case err == nil && bytes.Equal(old, text):
		return nil
	case err == nil:
		return fmt.Errorf("%s exists with other content; move it away first", s.settings)
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("read the settings: %w", err)
	}
	if err := writeWhole(s.settings, text); err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	return nil
}

func (s *stack) isExtra(name string) bool {
	for _, setting := range s.extra {
		if strings.HasPrefix(setting, name+"=") {
			return true
		}
	}
	return false
}

// quoted returns a string in JSON. Invalid UTF-8 becomes U+FFFD.
func quoted(s string) []byte {
	text, _ := jsontext.AppendQuote(nil, s) // its error speaks of that
	return text
}

// handlerSettings returns the handler's settings, as in local.settings.json and in order. The user's settings override
// the others.
func (s *stack) handlerSettings() [][2]string {
	settings := [][2]string{
		{"FUNCTIONS_WORKER_RUNTIME", "Custom"},
		{"KAFKA_BROKERS", s.brokers},
		{"KAFKA_TOPIC", s.topic},
		{"AzureWebJobsStorage", s.queues.ConnectionString()},
		{"APPLICATIONINSIGHTS_CONNECTION_STRING", "InstrumentationKey=" + instrumentationKey + ";IngestionEndpoint=" + s.page + "/"},
	}
	for _, setting := range s.extra {
		name, value, _ := strings.Cut(setting, "=")
		settings = slices.DeleteFunc(settings, func(other [2]string) bool { return other[0] == name })
		settings = append(settings, [2]string{name, value})
	}
	return settings
}

// handlerEnv is the environment of host and handler.
func (s *stack) handlerEnv() []string {
	env := slices.Clone(s.env)
	env = append(env,
		"AZURE_FUNCTIONS_ENVIRONMENT=Development",
		"AzureFunctionsJobHost__extensions__queues__maxPollingInterval=00:00:02", // host.json's value is for Azure, where each read of the queue costs money
		"AzureFunctionsJobHost__customHandler__description__defaultExecutablePath="+handlerPath())
	if s.verbose {
		env = append(env, "AzureFunctionsJobHost__logging__logLevel__Function=Information")
	}
	for _, setting := range s.handlerSettings() {
		env = append(env, setting[0]+"="+setting[1])
	}
	return env
}
