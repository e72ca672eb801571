package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// built is the result of the build.
type built struct {
	binary []byte
	info   *buildinfo.BuildInfo
}

// strayCode says whether there are untracked files in the handler's code, so that the handler differs from the commit.
// It returns true if git fails.
func strayCode(ctx context.Context, root string) bool {
	status := exec.CommandContext(ctx, "git", "status", "--porcelain", "--untracked-files=all", "--", "handler", "go.mod", "go.sum")
	status.Dir = root
	out, err := status.Output()
	return err != nil || bytes.Contains(out, []byte("??"))
}

// build builds the handler for Azure's Linux instances into the file, without cgo, so that it needs no system
// libraries, and without data that differs between machines.
func build(ctx context.Context, root, binary string) (built, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return built{}, fmt.Errorf("find the handler's place: %w", err)
	}
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./handler") //nolint:gosec // G204: constants, but for a temporary file
	command.Dir = root
	// The user's settings for other builds must not affect this one.
	command.Env = append(command.Environ(),
		"GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOFIPS140=off", "GOWORK=off")
	if !strayCode(ctx, root) {
		// Go marks a program as changed if git reports any new file, such as a package, a lock file or a backend's
		// configuration. These files cannot get into the handler.
		command.Env = append(command.Env,
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=status.showUntrackedFiles", "GIT_CONFIG_VALUE_0=no")
	}
	if out, err := command.CombinedOutput(); err != nil {
		return built{}, fmt.Errorf("build the handler: %w\n%s", err, bytes.TrimSpace(out))
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return built{}, fmt.Errorf("read the handler: %w", err)
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return built{}, fmt.Errorf("read what the handler is made of: %w", err)
	}
	return built{content, info}, nil
}
