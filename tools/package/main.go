// Package makes the package for Azure: a zip with host.json, the functions' folders and the handler, built for Linux.
//
//	go run ./tools/package -o userrelay.zip
//
// It runs on any system, and produces identical bytes from the same commit with the same version of Go.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, ".", os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program, for the project in the folder root. It returns the exit code: 2 for wrong arguments, 1 for any other
// failure.
func run(ctx context.Context, root string, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("package", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("o", "userrelay.zip", "write the package to this `file`")
	sbom := flags.String("sbom", "", "also write what the handler is made of to this `file`, in CycloneDX's JSON")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0 || *out == "":
		_, _ = fmt.Fprintln(stderr, "package takes no arguments but flags; see -help")
		return 2
	}
	if err := produce(ctx, root, *out, *sbom, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// produce makes the package and, unless sbom is empty, the list of its parts. It prints the names of both.
func produce(ctx context.Context, root, out, sbom string, stdout io.Writer) (err error) {
	files, err := appFiles(root)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "userrelay-package-")
	if err != nil {
		return fmt.Errorf("make a folder for the handler: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	handler, err := build(ctx, root, filepath.Join(temp, "handler"))
	if err != nil {
		return err
	}
	files = append(files, file{name: handlerPath, content: handler.binary, executable: true})

	archive, err := archived(files)
	if err != nil {
		return err
	}
	if err := write(out, archive); err != nil {
		return err
	}
	for _, f := range files {
		_, _ = fmt.Fprintf(stdout, "  %s %8d  %s\n", f.mode(), len(f.content), f.name)
	}
	_, _ = fmt.Fprintf(stdout, "%s: %d bytes, SHA-256 %x, built with %s\n", out, len(archive), sha256.Sum256(archive), handler.info.GoVersion)
	if sbom == "" {
		return nil
	}
	terms, err := licences(ctx, root)
	if err != nil {
		return err
	}
	list, err := bill(handler, terms)
	if err != nil {
		return err
	}
	return write(sbom, list)
}

// write writes a file atomically.
func write(name string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+"-")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
