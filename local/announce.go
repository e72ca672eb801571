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

// announce prints how to register a user as soon as the handler answers, and returns whether it does. Afterwards it
// prints what Kafka lacks, and again when that changes.
func (s *stack) announce(ctx context.Context, h *funchost.Host) bool {
	url := h.FunctionURL("RegisterUser")
	answers := false
	s.untilHealth(ctx, h.Done(), func(int) bool { answers = true; return true })
	s.console.release(ctx.Err() != nil || answers && !s.verbose)
	if !answers {
		return false
	}
	function := url + "?code=" + s.key
	command := curlLine(function)
	s.say("Register a user: %s", command)
	s.say("Look at it:      %s/", s.page)
	s.say("Ctrl-C ends it.")
	if s.verbose {
		s.say("The function:    %s", function)
		s.say("Find the user:   %s/?q=%s", s.page, neturl.QueryEscape(exampleUser))
		s.say("Kafka:           %s, topic %s", s.brokers, s.topic)
		s.say("The outbox:      %s", s.queues.ConnectionString())
	}
	s.portal.SetFunction(portal.Function{URL: function, Curl: command})
	if s.open {
		s.openPage()
	}
	s.background.Go(func() { s.untilReady(ctx, url) })
	return true
}

// curlLine returns the command line that registers the example's user.
func curlLine(function string) string {
	if runtime.GOOS == "windows" {
		return `curl -i "` + function + `" -d "{\"userId\":\"` + exampleUser + `\"}"`
	}
	return "curl -i '" + function + "' -d '{\"userId\":\"" + exampleUser + "\"}'"
}

// untilReady waits until registrations reach Kafka, prints what is missing until then, and then writes the addresses.
func (s *stack) untilReady(ctx context.Context, url string) {
	said, lacked := "", false
	s.untilHealth(ctx, nil, func(status int) bool {
		if status == http.StatusOK {
			return true
		}
		if trouble := s.kafkaTrouble(ctx); trouble != said && ctx.Err() == nil {
			if said = trouble; said != "" {
				lacked = true
				s.say("%s", said)
			}
		}
		return false
	})
	if ctx.Err() != nil {
		return
	}
	if lacked {
		s.say("Kafka takes registrations now.")
	}
	if err := s.writeReady(url); err != nil {
		s.say("local: %v", err)
	}
}

// untilHealth requests the handler's health until enough accepts the status, ended is closed, or ctx ends: often at
// first, then every two seconds. It does not use the host, because the page would show each request.
func (s *stack) untilHealth(ctx context.Context, ended <-chan struct{}, enough func(status int) bool) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.running.Load().HandlerURL()+"/api/Health", http.NoBody)
		if err != nil {
			return
		}
		if res, err := client.Do(req); err == nil {
			_ = res.Body.Close()
			if enough(res.StatusCode) {
				return
			}
		}
		select {
		case <-time.After(pause):
		case <-ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

// sayNoHost prints what func start needs.
func (s *stack) sayNoHost() error {
	text, err := s.localSettings()
	if err != nil {
		return err
	}
	if s.settings == "" {
		s.say("Ready, without host and handler. For func start, put this into local.settings.json (-settings local.settings.json does):")
		s.say("")
		s.say("%s", text)
	} else {
		s.say("Ready, without host and handler. The settings for func start are in %s.", s.settings)
	}
	s.say("Look at it: %s/", s.page)
	s.say("Ctrl-C ends it.")
	function := "http://" + address(functionPort)
	s.portal.SetParts(portal.Parts{Host: function})
	s.portal.SetFunction(portal.Function{URL: function + "/api/RegisterUser", Curl: curlLine(function + "/api/RegisterUser")})
	if s.open {
		s.openPage()
	}
	return s.writeReady("")
}

// addresses is the content of the -ready file.
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

// writeReady writes the addresses for scripts and tests.
func (s *stack) writeReady(url string) error {
	if s.ready == "" {
		return nil
	}
	text, err := json.Marshal(addresses{
		URL: url, Key: s.key, Page: s.page, Brokers: s.brokers, Topic: s.topic,
		Outbox: outboxAddress{s.queues.ConnectionString(), outbox.QueueName, outbox.QueueName + "-poison"},
	}, jsontext.Multiline(true))
	if err == nil {
		err = writeWhole(s.ready, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	return nil
}

// writeWhole writes a file atomically.
func writeWhole(name string, text []byte) error {
	part, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err //nolint:wrapcheck // the caller says what for
	}
	_, err = part.Write(text)
	if closed := part.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(part.Name(), name)
	}
	if err != nil {
		_ = os.Remove(part.Name())
	}
	return err //nolint:wrapcheck // likewise
}
