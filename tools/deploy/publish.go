package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	pause        = 30 * time.Second // between tries
	publishLimit = 8 * time.Minute  // for an attempt: az itself takes one to three
	startLimit   = 5 * time.Minute  // until the app runs the published package
	askLimit     = 20 * time.Second // for a request
	askPause     = 5 * time.Second
)

// again repeats an attempt until it succeeds, until the limit, or until a failure that waiting does not fix.
func (p program) again(ctx context.Context, limit time.Time, try func() error) error {
	told := ""
	for {
		err := try()
		switch {
		case err == nil, final(err), ctx.Err() != nil:
			return err
		case time.Now().Add(pause).After(limit):
			return fmt.Errorf("given up: %w", err)
		}
		if text := err.Error(); text != told {
			told = text
			p.say("Not yet: %s\n  Trying again every %s, until %s: a new role takes up to ten minutes to hold.", text, pause, limit.Format(time.TimeOnly))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // the user's own Ctrl-C
		}
	}
}

// final says that waiting does not fix a failure.
func final(err error) bool {
	for _, text := range []string{"(ResourceGroupNotFound)", "(ResourceNotFound)", "No such file", "unrecognized arguments", "az login"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// build identifies a program by its commit and the checksum of its file.
type build struct {
	Commit string `json:"commit"`
	SHA256 string `json:"sha256"`
}

func (b build) String() string {
	switch {
	case b.Commit == "" && b.SHA256 == "":
		return "an unknown program"
	case b.Commit == "":
		return "the program " + b.SHA256[:min(12, len(b.SHA256))]
	}
	commit, changed, _ := strings.Cut(b.Commit, "+")
	if changed != "" {
		changed = ", changed (" + b.SHA256[:min(12, len(b.SHA256))] + ")"
	}
	return "commit " + commit[:min(12, len(commit))] + changed
}

// pack makes the package.
func (p program) pack(ctx context.Context, folder string) (string, error) {
	p.say("Making the package")
	name := filepath.Join(folder, "userrelay.zip")
	if _, err := p.run(ctx, "go", "run", "./tools/package", "-o", name); err != nil {
		return "", fmt.Errorf("make the package: %w", err)
	}
	return name, nil
}

// packed identifies the program in a package.
func packed(source string) (b build, err error) {
	archive, err := zip.OpenReader(source)
	if err != nil {
		return b, fmt.Errorf("open the package: %w", err)
	}
	defer func() { _ = archive.Close() }()
	f, err := archive.Open("bin/handler")
	if err != nil {
		return b, fmt.Errorf("%s is not a package of this app: %w", source, err)
	}
	defer func() { _ = f.Close() }()
	program, err := io.ReadAll(f)
	if err != nil {
		return b, fmt.Errorf("read the package: %w", err)
	}
	b.SHA256 = fmt.Sprintf("%x", sha256.Sum256(program))
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return b, fmt.Errorf("read the package's handler: %w", err)
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Commit = s.Value + b.Commit
		case s.Key == "vcs.modified" && s.Value == "true":
			b.Commit += "+changed"
		}
	}
	return b, nil
}

// publish sends the package, and tries again while Azure refuses it. It ignores az's result after the package was
// accepted: az then polls the host's health, which access restrictions may forbid and a late start may delay, and
// before Azure/azure-cli#33388 it polls forever. The app's version shows whether the app runs.
func (p program) publish(ctx context.Context, t app, source string, want build, limit time.Time) error {
	tries := 0
	return p.again(ctx, limit, func() error {
		tries++
		p.say("Publishing %s, try %d; it takes one to three minutes", want, tries)
		try, cancel := context.WithTimeout(ctx, publishLimit)
		defer cancel()
		_, err := p.run(try, "az", t.azPublish(source)...)
		switch {
		case err == nil:
			return nil
		case ctx.Err() == nil && try.Err() != nil:
			p.say("az has said nothing for %s and was ended; the package may be there all the same", publishLimit)
			return nil
		case strings.Contains(err.Error(), "Deployment was successful"):
			p.say("az says: %v", err)
			return nil
		case strings.Contains(err.Error(), "BlobUploadFailed"), strings.Contains(err.Error(), "Failed to upload"):
			return fmt.Errorf("%w (the app could not store the package in its storage account: its role is new, or a network blocks it, see Network in docs/deploy.md)", err)
		}
		return err
	})
}

// errUnseen says that the app cannot be reached from here.
var errUnseen = errors.New("published, but the running version cannot be checked from here: the app's access restrictions block this machine.  " +
	"Add its address to allowed_ips for the time, or look for \"The handler listens\" in the app's log stream; with -unseen this is no failure")

// awaitVersion requests the app's version until it is the wanted one.
func (p program) awaitVersion(ctx context.Context, t app, host string, want build) error {
	limit := time.Now().Add(startLimit)
	told := ""
	for {
		running, err := p.running(ctx, t, host)
		switch {
		case errors.Is(err, errUnseen), ctx.Err() != nil:
			return errors.Join(err, ctx.Err())
		case err == nil && running.SHA256 == want.SHA256:
			p.say("The app runs %s", want)
			return nil
		case err == nil:
			err = fmt.Errorf("the app still runs %s", running)
		}
		if time.Now().Add(askPause).After(limit) {
			return fmt.Errorf("published, but after %s the app does not run it: %w. Its log stream in the portal says why", startLimit, err)
		}
		if text := err.Error(); text != told {
			told = text
			p.say("Waiting for the app: %s", text)
		}
		select {
		case <-time.After(askPause):
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // the user's own Ctrl-C
		}
	}
}

// running requests the app's version. It gets the key each time, because the first publish creates it.
func (p program) running(ctx context.Context, t app, host string) (b build, err error) {
	out, err := p.run(ctx, "az", t.azKeys()...)
	if err != nil {
		return b, fmt.Errorf("the function Version has no key yet (%w)", err)
	}
	var keys struct {
		Default string `json:"default"`
	}
	if err := json.Unmarshal([]byte(out), &keys); err != nil || keys.Default == "" {
		return b, errors.New("the function Version has no key yet")
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/api/Version", http.NoBody)
	if err != nil {
		return b, fmt.Errorf("ask the app: %w", err)
	}
	request.Header.Set("X-Functions-Key", keys.Default)
	answer, err := p.client.RoundTrip(request)
	if err != nil {
		return b, fmt.Errorf("the app does not answer: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	switch {
	case answer.StatusCode == http.StatusForbidden && answer.Header.Get("X-Ms-Forbidden-Ip") != "": // App Service's own
		return b, fmt.Errorf("%w (it sees the address %.45s)", errUnseen, answer.Header.Get("X-Ms-Forbidden-Ip"))
	case answer.StatusCode != http.StatusOK:
		return b, fmt.Errorf("it answers %d", answer.StatusCode)
	}
	if err := json.UnmarshalRead(io.LimitReader(answer.Body, 4096), &b); err != nil {
		return b, errors.New("its answer is not a version")
	}
	return b, nil
}
