package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"userrelay/local/devstorage"
	"userrelay/local/freeport"
)

// Azurite is Microsoft's emulator of a storage account, in Node.js. It has blobs, which the real Functions host needs
// in addition to queues.
const (
	azuriteMain  = "test/azurite/node_modules/azurite/dist/src/azurite.js"
	azuriteLimit = 30 * time.Second // for its start
)

// azurite is a running Azurite.
type azurite struct {
	blobs, queues, tables int // ports
	process               *exec.Cmd
	stdin                 io.Closer // it ends when this is closed, also by the end of this process
	folder                string    // to remove; "" if it is the user's
}

// startAzurite starts an Azurite with its data in dir, or in a temporary folder. Its blobs, queues and tables have the
// ports; 0 takes a free one.
func startAzurite(ctx context.Context, dir string, ports [3]int) (*azurite, error) {
	main, err := filepath.Abs(azuriteMain)
	if err != nil {
		return nil, fmt.Errorf("find Azurite: %w", err)
	}
	a := &azurite{blobs: ports[0], queues: ports[1], tables: ports[2]}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "userrelay-azurite-"); err != nil {
			return nil, fmt.Errorf("make a folder for Azurite: %w", err)
		}
		a.folder = dir
	}
	for _, port := range []*int{&a.blobs, &a.queues, &a.tables} {
		if *port != 0 {
			continue
		}
		if *port, err = freeport.Find(ctx); err != nil {
			return nil, errors.Join(err, a.remove())
		}
	}
	const endsWithStdin = `process.stdin.resume().on("end", () => process.exit(1)); require(process.argv[1])`
	a.process = exec.Command("node", "-e", endsWithStdin, "--", main, "--silent", "--skipApiVersionCheck", "--disableTelemetry", //nolint:gosec,noctx // G204: constants, numbers and a folder of ours; Close ends it
		"--location", dir, "--blobHost", "127.0.0.1", "--blobPort", strconv.Itoa(a.blobs),
		"--queueHost", "127.0.0.1", "--queuePort", strconv.Itoa(a.queues), "--tableHost", "127.0.0.1", "--tablePort", strconv.Itoa(a.tables))
	if a.stdin, err = a.process.StdinPipe(); err == nil {
		err = a.process.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start Azurite: %w", err), a.remove())
	}
	if err := a.ready(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// ready waits until all three services accept connections.
func (a *azurite) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, azuriteLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, port := range []int{a.blobs, a.queues, a.tables} {
		for {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", address(port))
			if err == nil {
				_ = conn.Close()
				break
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("wait for Azurite: %w", err)
			}
		}
	}
	return nil
}

// ConnectionString returns the connection string of all three services.
func (a *azurite) ConnectionString() string {
	at := func(port int) string { return "http://" + address(port) + "/" + devstorage.Account }
	return "DefaultEndpointsProtocol=http;AccountName=" + devstorage.Account + ";AccountKey=" + devstorage.Key +
		";BlobEndpoint=" + at(a.blobs) + ";QueueEndpoint=" + at(a.queues) + ";TableEndpoint=" + at(a.tables) + ";"
}

// Close ends the process.
func (a *azurite) Close() error {
	_ = a.stdin.Close()
	_ = a.process.Process.Kill()
	_ = a.process.Wait() // killed
	return a.remove()
}

func (a *azurite) remove() error {
	if a.folder == "" {
		return nil
	}
	if err := os.RemoveAll(a.folder); err != nil {
		return fmt.Errorf("remove Azurite's folder: %w", err)
	}
	return nil
}
