// Deploy publishes the app to Azure and waits until it runs.
//
//	go run ./tools/deploy
//
// It makes the package (or uses the one of -src), and checks that Azure CLI is installed, logged in to the
// subscription and may publish. It publishes with a limited number of attempts, because a new role takes up to ten
// minutes to apply. Then it requests the app's version until the app runs the package. -n prints the commands instead.
//
// The app comes from the flags, or else from the variables AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP and
// AZURE_FUNCTION_APP (set by azd's hooks and the workflow), or else from `terraform output`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitUnseen = 3 // published, but the app cannot be reached from here
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	p := program{run: command, client: http.DefaultTransport, environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr} //nolint:forbidigo // settings are read in main
	code := p.main(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// program is Deploy with its external dependencies.
type program struct {
	run     runner
	client  http.RoundTripper
	environ []string
	stdout  io.Writer
	stderr  io.Writer
}

// options are the values of the flags.
type options struct {
	source   string // a package; empty: make one
	infra    string // Terraform's folder
	app      app
	patience time.Duration
	print    bool
	unseen   bool
}

func (p program) main(ctx context.Context, args []string) int {
	var o options
	flags := flag.NewFlagSet("deploy", flag.ContinueOnError)
	flags.SetOutput(p.stderr)
	flags.StringVar(&o.source, "src", "", "publish this `package` instead of making one")
	flags.StringVar(&o.app.subscription, "subscription", "", "the subscription's `id`")
	flags.StringVar(&o.app.group, "resource-group", "", "the app's resource `group`")
	flags.StringVar(&o.app.name, "name", "", "the app's `name`")
	flags.StringVar(&o.infra, "infra", "infra", "the `folder` with Terraform's configuration")
	flags.DurationVar(&o.patience, "patience", 10*time.Minute, "how long to try again while Azure refuses")
	flags.BoolVar(&o.print, "n", false, "only print the commands; terraform output is run")
	flags.BoolVar(&o.unseen, "unseen", false, "succeed although the app's access restrictions prevent the version check from here")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		_, _ = fmt.Fprintln(p.stderr, "deploy takes no arguments but flags; see -help")
		return exitUsage
	}
	switch err := p.deploy(ctx, o); {
	case errors.Is(err, errUnseen) && o.unseen:
		p.say("%v", err)
		return exitOK
	case errors.Is(err, errUnseen):
		_, _ = fmt.Fprintln(p.stderr, err)
		return exitUnseen
	case err != nil:
		_, _ = fmt.Fprintln(p.stderr, err)
		return exitFailed
	}
	return exitOK
}

// say prints the progress.
func (p program) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.stdout, format+"\n", args...)
}

// deploy does all steps in order.
func (p program) deploy(ctx context.Context, o options) error {
	target, origin, err := p.find(ctx, o)
	if err != nil {
		return err
	}
	if o.print {
		p.printCommands(target, o.source)
		return nil
	}
	p.say("App %s in %s, subscription %s (%s)", target.name, target.group, target.subscription, origin)
	if err := p.checkAzure(ctx, target); err != nil {
		return err
	}
	if o.source == "" {
		folder, err := os.MkdirTemp("", "userrelay-deploy-")
		if err != nil {
			return fmt.Errorf("make a folder for the package: %w", err)
		}
		defer func() { _ = os.RemoveAll(folder) }()
		if o.source, err = p.pack(ctx, folder); err != nil {
			return err
		}
	}
	want, err := packed(o.source)
	if err != nil {
		return err
	}
	begin := time.Now()
	limit := begin.Add(o.patience)
	shown, err := p.allowed(ctx, target, limit)
	if err != nil {
		return err
	}
	if err := p.publish(ctx, target, o.source, want, limit); err != nil {
		return err
	}
	if err := p.awaitVersion(ctx, target, shown.host(), want); err != nil {
		return err
	}
	p.say("It runs, after %s.", time.Since(begin).Round(time.Second))
	return nil
}

// printCommands prints what deploy would run.
func (p program) printCommands(t app, source string) {
	if source == "" {
		source = "userrelay.zip"
		p.say("go run ./tools/package -o %s", source)
	}
	quoted := func(args []string) string {
		for i, arg := range args {
			if strings.ContainsAny(arg, " '\"$&?*;|<>()`\\") {
				args[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
			}
		}
		return "az " + strings.Join(args, " ")
	}
	p.say("%s", quoted(azVersion()))
	p.say("%s", quoted(t.azAccount()))
	p.say("%s", quoted(t.azShow()))
	p.say("%s", quoted(t.azPermissions(t.id())))
	plan := slices.Concat(t.azShow(), []string{"--query", "properties.serverFarmId", "--output", "tsv"})
	p.say(`az rest --method get --url "$(%s)%s" --output json`, quoted(plan), permissionsPath)
	p.say("%s", quoted(t.azPublish(source)))
	p.say("%s", quoted(t.azKeys()))
	p.say("# then GET https://%s.azurewebsites.net/api/Version, with the key in the header x-functions-key, until it answers the package's checksum", t.name)
}
