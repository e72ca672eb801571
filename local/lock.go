package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// lockData locks the folder of -data for this process until unlock, or the process's end.
func (o *options) lockData() (unlock func(), err error) {
	if o.data == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(o.data, 0o700); err != nil { //nolint:gosec // G703: the user names it
		return nil, fmt.Errorf("make the folder of -data: %w", err)
	}
	f, err := lockFile(filepath.Join(o.data, "lock"))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("another go run ./local has -data %s; end that one, or use another folder", o.data)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the folder of -data: %w", err)
	}
	return func() { _ = f.Close() }, nil
}

var errLocked = errors.New("locked")

// functionKey returns -key, or else the key in the folder of -data, or else a random one.
func (o *options) functionKey() (string, error) {
	if o.data == "" {
		if o.key != "" {
			return o.key, nil
		}
		return rand.Text(), nil
	}
	file := filepath.Join(o.data, "key")
	kept, err := os.ReadFile(file) //nolint:gosec // G703: likewise
	if key := strings.TrimSpace(string(kept)); err == nil && o.key == "" && key != "" {
		return key, nil
	}
	key := o.key
	if key == "" {
		key = rand.Text()
	}
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil { //nolint:gosec // G703: likewise
		return "", fmt.Errorf("keep the function's key: %w", err)
	}
	return key, nil
}
