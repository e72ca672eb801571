// Backfill sends Auth0's users to the function, for registrations that the Action or Auth0 could not deliver.
//
// It reads users as Auth0's export job writes them, or from the Management API's search for a time span, and posts
// each as the Action does, with the same event id: a user that had arrived before becomes a copy that consumers drop
// by its ce_id.
//
//	go run ./auth0/backfill -help
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"time"

	"userrelay/auth0/backfill/topic"
	"userrelay/handler/outbox"
	"userrelay/handler/parent"
)

const usage = `Sends users from Auth0 to the function, with the same event ids as the Action.

  backfill [flags] FILE…                   users in the files of an export job: JSON, also compressed with gzip; - is stdin
  backfill [flags] -from TIME [-to TIME]   users created in the time span, from the Management API
  backfill [flags] -events -from TIME      users from the events since a time, from Auth0's Events API
  backfill -verify …                       of these users, only those that are missing in the topic

Environment:
  FUNCTION_URL         the function's address, with or without ?code=…
  FUNCTION_KEY         the function's key, if it is not in FUNCTION_URL
  AUTH0_TENANT         the tenant's name, as in the Action's event.tenant.id: a part of the event ids
  AUTH0_DOMAIN         the tenant's own domain, for the Management API; not a custom domain
  AUTH0_CLIENT_ID      of an application with the permission read:users, or read:events for -events
  AUTH0_CLIENT_SECRET  of the same application
  AUTH0_TOKEN          a token for the Management API, instead of the client id and secret
  KAFKA_…, AzureWebJobsStorage…, OUTBOX      for -verify: as in the function app; the Kafka login only needs to read the topic

Exit code: 0 if all users were delivered; 1 if some were not, or the run was interrupted; 2 for wrong flags or settings. With
-verify also 1 if users are in the poison queue or, with -dry-run, missing.

Flags:
`

func main() {
	ctx, stop := parent.Context()
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // keys must not be sent elsewhere
	}
	code := run(ctx, os.Args[1:], os.Environ(), client, os.Stdin, os.Stdout, os.Stderr) //nolint:forbidigo // settings are read here
	stop()
	os.Exit(code)
}

// options are the values of the flags.
type options struct {
	from, to time.Time // zero: not given
	rate     float64   // users a second
	parallel int       // users under way
	profile  bool
	dryRun   bool
	verify   bool
	events   bool
	since    time.Time // the topic is read from there
	state    string    // file
	files    []string
}

func run(ctx context.Context, args, env []string, client *http.Client, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := readOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "backfill: %v\n", err)
		return 2
	}
	s, err := readSettings(env, o)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "backfill: %v\n", err)
		return 2
	}
	sent, err := openState(o.state)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "backfill: %v\n", err)
		return 2
	}
	b := &backfill{options: o, tenant: s.tenant, sent: sent, stderr: stderr}
	if !o.dryRun {
		b.function = &function{url: s.url, key: s.key, profile: o.profile, tenant: s.tenant, client: client}
	}
	if o.verify {
		v, closeAll, err := newVerifier(s, o, b.tell) //nolint:contextcheck // it is closed in order
		if err != nil {
			_, _ = fmt.Fprintf(stderr, "backfill: %v\n", err)
			return 2
		}
		defer closeAll()
		b.verifier = v
	}
	err = b.run(ctx, func(ctx context.Context) iter.Seq2[user, error] { return users(ctx, o, s, client, stdin, sent, b.tell) })
	return b.end(errors.Join(err, sent.close()), stdout)
}

// newVerifier opens the topic and the queues.
func newVerifier(s settings, o options, note func(string, ...any)) (*verifier, func(), error) {
	reader, err := topic.Open(topic.Config(s.kafka), o.since)
	if err != nil {
		return nil, nil, err
	}
	v := &verifier{source: "urn:auth0:" + s.tenant, topic: reader, note: note}
	if s.outbox == nil {
		return v, reader.Close, nil
	}
	queue, err := outbox.New(*s.outbox)
	if err != nil {
		reader.Close()
		return nil, nil, err
	}
	v.queues = queue
	return v, func() { reader.Close(); queue.Close() }, nil
}

// end prints the result, and returns the exit code.
func (b *backfill) end(err error, stdout io.Writer) int {
	var where *reconciled
	if b.verifier != nil {
		where = new(b.verifier.counts())
	}
	b.report.write(stdout, b.dryRun, where)
	if err != nil {
		_, _ = fmt.Fprintf(b.stderr, "backfill: %v\n", err)
	}
	if err != nil || b.report.missed() > 0 || where != nil && (where.poison > 0 || b.dryRun && where.missing > 0) {
		return 1
	}
	return 0
}

// users yields the users of the files, or of the Management API.
func users(ctx context.Context, o options, s settings, client *http.Client, stdin io.Reader, sent *state, tell func(string, ...any)) iter.Seq2[user, error] {
	if len(o.files) > 0 {
		return exported(o.files, stdin)
	}
	tenant := &api{domain: s.domain, credentials: s.credentials, client: client}
	if o.events {
		return (&replay{api: tenant, from: o.from, to: o.to, tenant: s.tenant, state: sent, tell: tell}).users(ctx)
	}
	return (&search{api: tenant, profile: o.profile, tell: tell}).users(ctx, o.from, o.to)
}

func readOptions(args []string, stderr io.Writer) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("backfill", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the caller reports the error
	flags.Func("from", "users created at this `time` (RFC 3339) or later", timeFlag(&o.from))
	flags.Func("to", "users created before this `time` (RFC 3339); with only -from: now", timeFlag(&o.to))
	flags.Float64Var(&o.rate, "rate", 10, "send at most this `number` of users per second")
	flags.IntVar(&o.parallel, "parallel", 4, "send at most this `number` of users at the same time")
	flags.BoolVar(&o.profile, "profile", false, "send the profiles too, as the Action does with SEND_PROFILE")
	flags.BoolVar(&o.dryRun, "dry-run", false, "read and count the users, but send nothing")
	flags.BoolVar(&o.events, "events", false, "read the events of new users from Auth0's Events API, and do not search; with -state continue an earlier run")
	flags.BoolVar(&o.verify, "verify", false, "compare the users with the topic, list the missing ones, and send only those")
	flags.Func("since", "with -verify: read the topic from this `time` (RFC 3339) on; default: an hour before -from, or the whole topic", timeFlag(&o.since))
	flags.StringVar(&o.state, "state", "", "keep the event ids of delivered users in this `file`, and skip these users in the next run")
	err := flags.Parse(args)
	o.files = flags.Args()
	if errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprint(stderr, usage)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
	}
	if err != nil {
		return o, err
	}
	if o.to.IsZero() && !o.from.IsZero() {
		o.to = time.Now()
	}
	if o.since.IsZero() && !o.from.IsZero() {
		o.since = o.from.Add(-time.Hour) // clocks differ
	}
	return o, errors.Join(
		when(o.events && (o.from.IsZero() || len(o.files) > 0), "-events needs -from and takes no files"),
		when(o.verify && o.state != "", "-verify reads the topic and cannot be used with -state"),
		when(len(o.files) == 0 && o.from.IsZero(), "give the files of an export job, or a time span with -from; see -help"),
		when(!o.from.IsZero() && !o.from.Before(o.to), "-from must be before -to"),
		when(!(0 < o.rate && o.rate <= 1000), "-rate must be more than 0 and at most 1000"),
		when(o.parallel < 1 || o.parallel > 100, "-parallel must be 1 to 100"),
	)
}

// when returns an error if the condition holds.
func when(wrong bool, text string) error {
	if wrong {
		return errors.New(text)
	}
	return nil
}

func timeFlag(to *time.Time) func(string) error {
	return func(s string) (err error) {
		if *to, err = time.Parse(time.RFC3339, s); err != nil {
			return errors.New("must be a time such as 2026-11-21T00:00:00Z")
		}
		return nil
	}
}
