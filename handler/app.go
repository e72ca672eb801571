package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/segmentio/kafka-go/sasl"

	"userrelay/handler/console"
	"userrelay/handler/functions"
	"userrelay/handler/insights"
	"userrelay/handler/kafka"
	"userrelay/handler/outbox"
	"userrelay/handler/parent"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
	"userrelay/handler/token"
)

// Exit codes. The Functions host starts a handler again that ends with anything but 0, so 0 is for a person's Ctrl-C
// and for runs that were asked to end.
const (
	exitOK     = 0
	exitFailed = 1
	exitConfig = 2
	exitTerm   = 128 + int(syscall.SIGTERM)
)

const (
	// What is in work when the program is told to end gets this long. A delivery takes at most 4 s.
	drainLimit     = 4500 * time.Millisecond
	prepareLimit   = 30 * time.Second       // for making the outbox ready
	relayLimit     = 200 * time.Millisecond // for copies in the outbox of what Kafka has
	producerLimit  = 200 * time.Millisecond // for records whose callers are gone
	telemetryLimit = 500 * time.Millisecond // for the last items
)

// run is the whole program but for the process around it.
func run(args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("handler", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.Bool("check", false, "check the settings in the environment, and end")
	connect := flags.Bool("connect", false, "with -check: reach for all that the settings name, too")
	poison := flags.String("poison", "", "list: show what lies in the poison queue, and end; resend: move it back into the outbox")
	version := flags.Bool("version", false, "print the version, and end")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitConfig
	}
	if text := misused(flags.NArg(), *check, *connect, *poison); text != "" {
		_, _ = fmt.Fprintln(stderr, text+"; see handler -help")
		return exitConfig
	}
	if *version {
		_, _ = fmt.Fprintf(stdout, "userrelay %s\n", buildVersion())
		return exitOK
	}
	s, err := load(getenv, !*check && *poison == "")
	if err != nil {
		return reportSettings(stderr, err)
	}
	if *poison != "" {
		return handlePoison(s, *poison, stdout, stderr)
	}
	if *check {
		_, _ = fmt.Fprintln(stdout, "settings: valid")
		if *connect {
			return checkConnections(s, stdout)
		}
		return exitOK
	}
	log := console.New(stdout, stderr, console.Options{Level: s.LogLevel, JSON: s.JSON})
	code, err := serve(s, log)
	if err != nil {
		log.Error("The handler ends", "error", err)
	}
	return code
}

// misused says what is wrong with the flags, "" where nothing is.
func misused(arguments int, check, connect bool, poison string) string {
	switch {
	case arguments > 0, connect && !check, check && poison != "":
		return "handler takes no arguments but flags, -connect goes with -check, and -poison alone"
	case poison != "" && poison != poisonList && poison != poisonResend:
		return "-poison must be list or resend"
	}
	return ""
}

// reportSettings prints what is wrong with the settings: one line each, and all of it again on the last line, since the
// Functions host quotes only the last three.
func reportSettings(stderr io.Writer, err error) int {
	if wrong, ok := errors.AsType[configError](err); ok {
		for _, line := range wrong {
			_, _ = fmt.Fprintln(stderr, line)
		}
	}
	_, _ = fmt.Fprintf(stderr, "settings: %v\n", err)
	return exitConfig
}

// serve answers the Functions host until the process is told to end.
func serve(s settings, log *slog.Logger) (int, error) {
	ctx, reason, stop := untilTold()
	defer stop()

	lines := log // what is told of registrations makes items of its own
	var sink insights.Sink
	if s.Insights != nil {
		sender, err := telemetrySender(s, log)
		if err != nil {
			return exitConfig, err
		}
		defer sender.Close(telemetryLimit) // last: it has the end of all else to tell
		sink, log = sender, slog.New(insights.WithItems(log.Handler(), sender))
	}
	cluster, err := kafkaConfig(s.Kafka, log)
	if err != nil {
		return exitConfig, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
	if err != nil {
		return exitFailed, fmt.Errorf("listen: %w", err)
	}
	broker, _, _ := net.SplitHostPort(s.Kafka.Brokers[0]) // load has read it
	telemetry := insights.New(insights.Config{
		Sink: sink, Log: lines, Lines: s.Lines, Broker: broker, Topic: s.Kafka.Topic, Queue: outbox.QueueName,
	})
	where := relay.Config{Observer: telemetry, KafkaTimeout: s.Kafka.Timeout}
	if s.Outbox != nil {
		queue, err := newOutbox(s.Outbox)
		if err != nil {
			return exitConfig, errors.Join(err, listener.Close())
		}
		defer queue.Close()
		defer prepareOutbox(ctx, queue, log)()
		where.Outbox, where.OutboxTimeout = queue, s.Outbox.Timeout
	}
	producer := kafka.New(cluster)
	where.Producer = producer
	deliver := relay.New(where)
	defer closeRelay(deliver)
	defer closeProducer(producer, log) // first: it answers for all records

	handler := functions.New(functions.Config{
		Decoder:  registration.Decoder{Tenant: s.Tenant, Profile: s.Profile},
		Deliver:  deliver,
		Drain:    deliver,
		Kafka:    producer,
		Observer: telemetry,
	})
	log.Info("The handler listens", "address", listener.Addr().String(), "version", buildVersion(), "topic", s.Kafka.Topic,
		"outbox", s.Outbox != nil, "telemetry", s.Insights != nil)
	if err := functions.Serve(ctx, listener, handler, log, drainLimit); err != nil {
		if ctx.Err() == nil {
			return exitFailed, err
		}
		log.Warn("Requests were cut off at the end", "error", err)
	}
	code := reason()
	log.Info("The handler ends", "because", context.Cause(ctx), "code", code)
	return code, nil
}

// telemetrySender starts what sends items to Application Insights.
func telemetrySender(s settings, console *slog.Logger) (*insights.Sender, error) {
	config := insights.SenderConfig{
		Connection: *s.Insights, Role: s.Role, Instance: s.Instance, Version: buildVersion(), Log: console,
	}
	if s.Identity != nil {
		tokens, err := s.Identity.TokenSource(s.Insights.Audience)
		if err != nil {
			return nil, err
		}
		config.Token = tokens
	}
	return insights.NewSender(config), nil
}

// prepareOutbox makes the outbox ready, so that the first registration that needs it does not wait. stop ends that.
func prepareOutbox(ctx context.Context, q *outbox.Queue, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithTimeout(ctx, prepareLimit)
	var prepared sync.WaitGroup
	prepared.Go(func() {
		if err := q.Prepare(ctx); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			log.WarnContext(ctx, "The outbox cannot be used: while Kafka is away, registrations are refused", "why", err, "todo", outbox.Advice(err))
		}
	})
	return func() {
		cancel()
		prepared.Wait()
	}
}

// closeRelay ends the relay: it takes back from the outbox what Kafka has.
func closeRelay(r *relay.Relay) {
	ctx, cancel := context.WithTimeout(context.Background(), relayLimit)
	defer cancel()
	r.Close(ctx)
}

// closeProducer ends the producer. What the drained requests wanted is done by then.
func closeProducer(p *kafka.Producer, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), producerLimit)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		log.Warn("Records were under way at the end", "error", err)
	}
}

// kafkaConfig makes the producer's configuration of the settings.
func kafkaConfig(k kafkaSettings, log *slog.Logger) (kafka.Config, error) {
	login, err := mechanism(k)
	return kafka.Config{Brokers: k.Brokers, Topic: k.Topic, ClientID: "userrelay", TLS: k.TLS, SASL: login, Log: log}, err
}

// mechanism returns the login, or nil where there is none.
func mechanism(k kafkaSettings) (sasl.Mechanism, error) {
	switch k.Mechanism {
	case "":
		return nil, nil //nolint:nilnil // no login is none
	case "PLAIN":
		return kafka.Plain(k.Username, k.Password), nil
	case "OAUTHBEARER":
		credential, err := azidentity.NewDefaultAzureCredential(nil)
		if err != nil {
			return nil, fmt.Errorf("find an Azure identity for OAUTHBEARER: %w", err)
		}
		return kafka.OAuthBearer(tokensOf(credential, k.Scope), k.Extension), nil
	default:
		return kafka.SCRAM(k.Mechanism, k.Username, k.Password)
	}
}

// tokensOf are an identity's tokens for a scope.
func tokensOf(credential azcore.TokenCredential, scope string) token.Source {
	return func(ctx context.Context) (string, time.Time, error) {
		t, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
		return t.Token, t.ExpiresOn, err
	}
}

// untilTold returns a context that ends when the process is told to end or its parent is gone, and a function that then
// says with which code it should. stop must be called.
func untilTold() (ctx context.Context, code func() int, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	var watchers sync.WaitGroup
	watchers.Go(func() { cancel(parent.Wait(ctx)) })
	watchers.Go(func() {
		select {
		case s := <-signals:
			cancel(told{s})
		case <-ctx.Done():
		}
	})
	code = func() int {
		t, _ := errors.AsType[told](context.Cause(ctx))
		switch t.signal {
		case os.Interrupt:
			return exitOK
		case syscall.SIGTERM:
			return exitTerm
		default:
			return exitFailed
		}
	}
	return ctx, code, func() {
		signal.Stop(signals)
		cancel(nil)
		watchers.Wait()
	}
}

// told is a signal that ends the program.
type told struct{ signal os.Signal }

func (t told) Error() string { return "told to end: " + t.signal.String() }

// buildVersion is the version of the program: its module version where it was installed as one, else its commit.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return info.Main.Version
}
