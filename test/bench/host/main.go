// Host runs the handler behind the stand-in for the Functions host, as in production. Its environment is the
// handler's.
//
//	host -root . -program bin/handler -addr 127.0.0.1:7071
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"userrelay/handler/parent"
	"userrelay/local/funchost"
)

const shutdownLimit = 15 * time.Second

func main() {
	ctx, stop := parent.Context()
	defer stop()
	if err := run(ctx, os.Args[1:], os.Environ(), os.Stderr); err != nil { //nolint:forbidigo // the one place where settings come from
		_, _ = fmt.Fprintf(os.Stderr, "host: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop has been called
	}
}

func run(ctx context.Context, args, env []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("host", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", ".", "`folder` with host.json and the functions")
	program := flags.String("program", "", "the handler")
	addr := flags.String("addr", "", "`host:port` to listen on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	host, err := funchost.Start(ctx, funchost.Config{
		Dir: *root, Addr: *addr, NoAuth: true, Insights: true,
		Env: append([]string{"AzureFunctionsJobHost__customHandler__description__defaultExecutablePath=" + *program}, env...),
	})
	if err != nil {
		return fmt.Errorf("start the host: %w", err)
	}
	select {
	case <-ctx.Done():
	case <-host.Done():
		return errors.Join(errors.New("the host has ended"), host.Close())
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	return host.Shutdown(ctx)
}
