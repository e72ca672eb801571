// Package infra_test checks what makes the app in Azure, without Azure: the configuration with Terraform's real provider
// and a mocked cloud, the template against Microsoft's schemas, the queries of alerts and workbook against the tables, and
// all of these checks against mistakes that they must find.
package infra_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"userrelay/test/skip"
)

// terraform runs Terraform with the provider that was built from its source.
type terraform struct {
	program  string
	config   string // a CLI configuration that names the provider's folder
	provider string // where the provider listens, as Terraform wants to be told
}

const terraformHowTo = "needs Terraform 1.11 or later (developer.hashicorp.com/terraform/install) and its provider: make test-infra builds that"

// newTerraform finds Terraform and the provider. Where they are missing the test is skipped, or fails when CI is set.
func newTerraform(t *testing.T) terraform {
	t.Helper()
	program, err := exec.LookPath("terraform")
	folder, missing := providerFolder()
	if err == nil {
		err = missing
	}
	if err != nil {
		skip.For(t, fmt.Sprintf("%s (%v)", terraformHowTo, err))
	}
	config := filepath.Join(t.TempDir(), "terraform.tfrc")
	text := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"hashicorp/azurerm\" = %q\n  }\n}\ndisable_checkpoint = true\n", folder)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return terraform{program, config, startProvider(t, folder)}
}

// startProvider runs the provider until the test ends. Terraform would start it several times for each of its tests, and
// reading what it offers takes the provider longer than most tests.
func startProvider(t *testing.T, folder string) string {
	t.Helper()
	provider := exec.CommandContext(t.Context(), filepath.Join(folder, "terraform-provider-azurerm"), "-debuggable")
	provider.Env = []string{"PATH=", "HOME=" + t.TempDir(), "TMPDIR=" + os.TempDir()}
	out, err := provider.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Wait() }) // killed by then
	address := regexp.MustCompile(`TF_REATTACH_PROVIDERS='(.*)'`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := address.FindStringSubmatch(lines.Text()); m != nil {
			return m[1]
		}
	}
	t.Fatalf("the provider does not say where it listens: %v", lines.Err())
	return ""
}

// providerFolder returns where the Makefile puts the provider: by its version, in the folder for caches.
func providerFolder() (string, error) {
	mod, err := os.ReadFile("../tools/terraform/go.mod")
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`hashicorp/terraform-provider-azurerm (v\S+)`).FindSubmatch(mod)
	if m == nil {
		return "", errors.New("no version of the provider in tools/terraform/go.mod")
	}
	cache := os.Getenv("XDG_CACHE_HOME") //nolint:forbidigo // a test has no main to read settings in
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache")
	}
	folder := filepath.Join(cache, "userrelay", "terraform-provider-azurerm", string(m[1]))
	_, err = os.Stat(filepath.Join(folder, "terraform-provider-azurerm")) //nolint:gosec // G703: the user's own folder for caches
	return folder, err
}

// run runs a command of Terraform in a folder. The error has what it printed.
func (tf terraform) run(ctx context.Context, folder string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, tf.program, append([]string{"-chdir=" + folder}, args...)...)
	// Nothing of the user's: neither a configuration nor a login, nor variables.
	command.Env = []string{"TF_CLI_CONFIG_FILE=" + tf.config, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "PATH=", "HOME=" + filepath.Dir(tf.config), "TF_REATTACH_PROVIDERS=" + tf.provider}
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("terraform %s: %w\n%s%s", strings.Join(args, " "), err, out, complaint.String())
	}
	return out, nil
}

func (tf terraform) validate(ctx context.Context, folder string) error {
	_, err := tf.run(ctx, folder, "validate", "-no-color")
	return err
}

// test runs the tests in a file, or in all where none is named.
func (tf terraform) test(ctx context.Context, folder, file string) error {
	args := []string{"test", "-no-color"}
	if file != "" {
		args = append(args, "-filter="+file)
	}
	_, err := tf.run(ctx, folder, args...)
	return err
}

// copyFiles copies files of this folder, or of others beside it, to the same places in another one. Each pattern fits some.
func copyFiles(t *testing.T, folder string, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("nothing fits %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(folder, file), text)
		}
	}
}

// writeFile writes a file, and makes its folder.
func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o600)); err != nil { //nolint:gosec // G703: in a temporary folder of the test
		t.Fatal(err)
	}
}

func TestTerraform(t *testing.T) {
	t.Parallel()
	tf := newTerraform(t)
	t.Run("fmt", func(t *testing.T) {
		t.Parallel()
		if out, err := tf.run(t.Context(), ".", "fmt", "-check", "-recursive", "-diff"); err != nil {
			t.Errorf("%v%s", err, out)
		}
	})
	t.Run("validate", func(t *testing.T) {
		t.Parallel()
		if err := tf.validate(t.Context(), "."); err != nil {
			t.Error(err)
		}
	})
	t.Run("test", func(t *testing.T) {
		t.Parallel()
		if err := tf.test(t.Context(), ".", ""); err != nil {
			t.Error(err)
		}
	})
}
