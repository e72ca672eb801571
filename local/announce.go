package main

import (
	"context"
	"fmt"
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"userrelay/handler/outbox"
	"userrelay/local/funchost"
	"userrelay/local/portal"
)

const exampleUser = "auth0|61de2511fd334200aa221dff"

// announce waits until registrations can be stored, and says how to send one.
func (s *stack) announce(ctx context.Context, h *funchost.Host) error {
	if err := waitHealthy(ctx, h); err != nil || ctx.Err() != nil {
		return err
	}
	url := h.FunctionURL("RegisterUser")
	function := url + "?code=" + s.key
	command := "curl -i '" + function + "' -d '{\"userId\":\"" + exampleUser + "\"}'"
	if runtime.GOOS == "windows" {
		command = `curl -i "` + function + `" -d "{\"userId\":\"` + exampleUser + `\"}"`
	}
	s.say("")
	s.say("Ready. The function:  %s", function)
	s.say("Register a user:      %s", command)
	s.say("Find it by its id:    %s/?q=%s", s.page, neturl.QueryEscape(exampleUser))
	s.say("Look at it:           %s/", s.page)
	s.say("Kafka:                %s, topic %s", s.brokers, s.topic)
	s.say("Ctrl-C ends it.")
	s.say("")
	s.portal.SetFunction(portal.Function{URL: function, Curl: command})
	return s.writeReady(url)
}

// waitHealthy asks the app itself until it answers that Kafka can be reached, or the host has given up.
func waitHealthy(ctx context.Context, h *funchost.Host) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.FunctionURL("Health"), nil)
		if err != nil {
			return fmt.Errorf("ask for the app's health: %w", err)
		}
		if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-h.Done(): // its reason is told where it is started again
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// sayNoHost prints what func start needs.
func (s *stack) sayNoHost() {
	s.say("")
	s.say("Ready, without host and handler. For func start, put this into local.settings.json:")
	s.say("")
	s.say("{")
	s.say(`  "IsEncrypted": false,`)
	s.say(`  "Values": {`)
	settings := s.settings()
	for i, setting := range settings {
		comma := ","
		if i == len(settings)-1 {
			comma = ""
		}
		s.say(`    %s: %s%s`, quoted(setting[0]), quoted(setting[1]), comma)
	}
	s.say("  }")
	s.say("}")
	s.say("")
	s.say("Look at it: %s/", s.page)
	s.say("Ctrl-C ends it.")
}

// quoted returns a string in JSON. What is no UTF-8 becomes U+FFFD.
func quoted(s string) []byte {
	text, _ := jsontext.AppendQuote(nil, s) // its error speaks of that
	return text
}

// addresses is what -ready writes.
type addresses struct {
	URL     string        `json:"url"` // of the function, without its key
	Key     string        `json:"key"`
	Page    string        `json:"page"`
	Brokers string        `json:"brokers"`
	Topic   string        `json:"topic"`
	Outbox  outboxAddress `json:"outbox"`
}

type outboxAddress struct {
	ConnectionString string `json:"connectionString"` // with the key of the emulators, which is no secret
	Queue            string `json:"queue"`
	Poison           string `json:"poison"`
}

// writeReady tells scripts and tests the addresses. The file appears whole.
func (s *stack) writeReady(url string) error {
	if s.ready == "" {
		return nil
	}
	text, err := json.Marshal(addresses{
		URL: url, Key: s.key, Page: s.page, Brokers: s.brokers, Topic: s.topic,
		Outbox: outboxAddress{s.queues.ConnectionString(), outbox.QueueName, outbox.QueueName + "-poison"},
	}, jsontext.Multiline(true))
	if err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	part, err := os.CreateTemp(filepath.Dir(s.ready), filepath.Base(s.ready)+".*")
	if err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	_, err = part.Write(append(text, '\n'))
	if closed := part.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(part.Name(), s.ready)
	}
	if err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	return nil
}
