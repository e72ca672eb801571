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
	"strconv"
	"sync"
	"syscall"

	"userrelay/handler/app"
	"userrelay/handler/console"
	"userrelay/handler/parent"
)

// Exit codes. The Functions host restarts a handler that exits with any code but 0, so 0 is for Ctrl-C and for runs
// that end as requested.
const (
	exitOK     = 0
	exitFailed = 1
	exitConfig = 2
	exitTerm   = 128 + int(syscall.SIGTERM)
)

// run is the whole program except for os.Args, os.Exit and the like.
func run(args []string, vars variables, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("handler", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.Bool("check", false, "check the settings in the environment, and exit")
	connect := flags.Bool("connect", false, "with -check: also connect to everything that the settings name")
	poison := flags.String("poison", "", "list: show what is in the poison queue, and exit; resend: move it back into the outbox")
	version := flags.Bool("version", false, "print the version, and exit")
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
	what := toServe
	switch {
	case *check:
		what = toCheck
	case *poison != "":
		what = toTend
	}
	s, err := load(vars, what)
	if err != nil {
		return reportSettings(stderr, s.Warnings, err)
	}
	switch what {
	case toTend:
		return handlePoison(s, *poison, stdout, stderr)
	case toCheck:
		return checkAll(s, *connect, stdout, stderr)
	default:
	}
	log := console.New(stdout, stderr, console.Options{Level: s.LogLevel, JSON: s.JSON})
	for _, warning := range s.Warnings {
		log.Warn("A setting looks wrong", "setting", warning)
	}
	code, err := serve(s, log)
	if err != nil {
		log.Error("The handler ends", "error", err)
	}
	return code
}

// misused says what is wrong with the flags, "" if nothing is.
func misused(arguments int, check, connect bool, poison string) string {
	switch {
	case arguments > 0, connect && !check, check && poison != "":
		return "handler takes no arguments but flags, -connect goes with -check, and -poison alone"
	case poison != "" && poison != poisonList && poison != poisonResend:
		return "-poison must be list or resend"
	}
	return ""
}

// serve answers the Functions host until the process gets a signal to end.
func serve(s settings, log *slog.Logger) (int, error) {
	ctx, reason, stop := untilTold()
	defer stop()

	config, err := appConfig(s, log)
	if err != nil {
		return exitConfig, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
	if err != nil {
		return exitFailed, fmt.Errorf("listen: %w", err)
	}
	handler, err := app.New(config)
	if err != nil {
		return exitConfig, errors.Join(err, listener.Close())
	}
	defer handler.Close()
	if err := handler.Serve(ctx, listener); err != nil {
		return exitFailed, err
	}
	code := reason()
	handler.Log().Info("The handler ends", "because", context.Cause(ctx), "code", code)
	return code, nil
}

// untilTold returns a context that ends when the process gets a signal to end or its parent is gone, and a function
// that then returns the exit code. stop must be called.
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

// told is the error for a signal that ends the program.
type told struct{ signal os.Signal }

func (t told) Error() string { return "told to end: " + t.signal.String() }
