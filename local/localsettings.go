package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// localSettings is a local.settings.json for func start beside what runs here.
func (s *stack) localSettings() ([]byte, error) {
	settings := s.handlerSettings()
	// The real host's trigger ends the whole host where its storage account is away, and wants blobs; the handler drains by
	// itself.
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

// writeSettings writes -settings. It overwrites nothing that somebody may need.
func (s *stack) writeSettings(text []byte) error {
	if s.settings == "" {
		return nil
	}
	old, err := os.ReadFile(s.settings)
	switch {
	case err == nil && bytes.Equal(old, text):
		return nil
	case err == nil:
		return fmt.Errorf("%s is there and says something else; move it away first", s.settings)
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

// quoted returns a string in JSON. What is no UTF-8 becomes U+FFFD.
func quoted(s string) []byte {
	text, _ := jsontext.AppendQuote(nil, s) // its error speaks of that
	return text
}
