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
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"userrelay/test/must"
	"userrelay/test/skip"
)

// The files of tests whose state is looked at.
const (
	eventHubsTests = "tests/event_hubs.tftest.hcl"
	foreignTests   = "tests/foreign_kafka.tftest.hcl"
)

// terraform runs Terraform with the provider that was built from its source.
type terraform struct {
	program  string
	config   string // a CLI configuration that names the provider's folder
	provider string // where the provider listens, as Terraform wants to be told
}

// newTerraform finds Terraform and starts the provider. Where they are missing the test is skipped, or fails when CI is set.
func newTerraform(t *testing.T) terraform {
	t.Helper()
	program, err := exec.LookPath("terraform")
	folder, missing := providerFolder(t)
	if err := errors.Join(err, missing); err != nil {
		skip.For(t, fmt.Sprintf("needs Terraform 1.11 or later (developer.hashicorp.com/terraform/install) and its provider: make test-infra builds that (%v)", err))
	}
	config := filepath.Join(t.TempDir(), "terraform.tfrc")
	write(t, config, fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"hashicorp/azurerm\" = %q\n  }\n}\ndisable_checkpoint = true\n", folder))
	return terraform{program, config, startProvider(t, folder)}
}

// startProvider runs the provider until the test ends. Terraform would start it several times for each of its tests, and
// reading what it offers takes the provider longer than most tests.
func startProvider(t *testing.T, folder string) string {
	t.Helper()
	provider := exec.CommandContext(t.Context(), filepath.Join(folder, "terraform-provider-azurerm"), "-debuggable")
	provider.Env = []string{"PATH=", "HOME=" + t.TempDir(), "TMPDIR=" + os.TempDir()}
	out := must.Get[io.ReadCloser](t)(provider.StdoutPipe())
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
func providerFolder(t *testing.T) (string, error) {
	t.Helper()
	version := regexp.MustCompile(`hashicorp/terraform-provider-azurerm (v\S+)`).FindStringSubmatch(read(t, "../tools/terraform/go.mod"))[1]
	cache := os.Getenv("XDG_CACHE_HOME") //nolint:forbidigo // a test has no main to read settings in
	if cache == "" {
		cache = filepath.Join(must.Get[string](t)(os.UserHomeDir()), ".cache")
	}
	folder := filepath.Join(cache, "userrelay", "terraform-provider-azurerm", version)
	_, err := os.Stat(filepath.Join(folder, "terraform-provider-azurerm")) //nolint:gosec // G703: the user's own folder for caches
	return folder, err
}

// run runs a command of Terraform in a folder and returns what it printed. The error has it, too.
func (tf terraform) run(ctx context.Context, folder string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, tf.program, append([]string{"-chdir=" + folder}, args...)...)
	// Nothing of the user's: neither a configuration nor a login, nor variables.
	command.Env = []string{"TF_CLI_CONFIG_FILE=" + tf.config, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "PATH=", "HOME=" + filepath.Dir(tf.config), "TF_REATTACH_PROVIDERS=" + tf.provider}
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		err = fmt.Errorf("terraform %s: %w\n%s%s", strings.Join(args, " "), err, out, complaint.String())
	}
	return out, err
}

// report is the result of tests: what failed, as Terraform says it in JSON, and the state after the first apply of each file.
type report struct {
	failed []string
	states map[string]state
}

// test runs the tests in files, or in all where none is named.
func (tf terraform) test(t *testing.T, folder string, files ...string) report {
	t.Helper()
	args := []string{"test", "-json", "-verbose"}
	for _, file := range files {
		args = append(args, "-filter="+file)
	}
	out, failure := tf.run(t.Context(), folder, args...)
	r := report{states: map[string]state{}}
	for decoder := jsontext.NewDecoder(bytes.NewReader(out)); decoder.PeekKind() == '{'; {
		var message struct {
			Level      string         `json:"@level"`
			File       string         `json:"@testfile"`
			State      *state         `json:"test_state"`
			Diagnostic jsontext.Value `json:"diagnostic"`
		}
		if err := json.UnmarshalDecode(decoder, &message); err != nil {
			t.Fatalf("read what terraform test prints: %v", err)
		}
		if _, seen := r.states[message.File]; message.State != nil && !seen {
			r.states[message.File] = *message.State
		}
		if message.Diagnostic != nil && message.Level == "error" {
			r.failed = append(r.failed, string(message.Diagnostic))
		}
	}
	if (failure != nil) != (len(r.failed) > 0) {
		t.Fatalf("failures: %q, %v", r.failed, failure)
	}
	return r
}

// state is what Terraform would keep after an apply.
type state struct {
	Outputs map[string]struct {
		Value jsontext.Value `json:"value"`
	} `json:"outputs"`
	Root struct {
		Resources []struct {
			Address string                    `json:"address"`
			Type    string                    `json:"type"`
			Index   any                       `json:"index"`
			Values  map[string]jsontext.Value `json:"values"`
		} `json:"resources"`
	} `json:"root_module"`
}

// secrets returns where a secret is that has no business there, and how many there are elsewhere. The mocked cloud's keys
// all begin with SECRET. The provider reads the keys of some resources itself and keeps them: nothing can be done about
// that, but that they open nothing, which the tests of the configuration look at.
func (s state) secrets() (wrong []string, found int) {
	own := map[string][]string{
		"azurerm_storage_account":         {"primary_access_key", "secondary_access_key", "primary_connection_string"},
		"azurerm_log_analytics_workspace": {"primary_shared_key", "secondary_shared_key"},
		"azurerm_eventhub_namespace":      {"default_primary_key", "default_primary_connection_string"},
	}
	for _, r := range s.Root.Resources {
		for attribute, value := range r.Values {
			switch {
			case !strings.Contains(string(value), "SECRET"):
			case slices.Contains(own[r.Type], attribute):
				found++
			default:
				wrong = append(wrong, r.Address+"."+attribute+" has a secret")
			}
		}
	}
	for name, output := range s.Outputs {
		if strings.Contains(string(output.Value), "SECRET") {
			wrong = append(wrong, "output "+name+" has a secret")
		}
	}
	return wrong, found
}

// copyFiles copies files of this folder, or of others beside it, to the same places in another one.
func copyFiles(t *testing.T, folder string, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		for _, file := range must.Get[[]string](t)(filepath.Glob(pattern)) {
			write(t, filepath.Join(folder, file), read(t, file))
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	return string(must.Get[[]byte](t)(os.ReadFile(path)))
}

// write writes a file that can be run, and makes its folder.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o700)); err != nil {
		t.Fatal(err)
	}
}

// TestTerraform starts the provider once, and Terraform once for all tests of the configuration: what they print is
// checked for secrets, for its queries, and is what the commands of the pages get.
func TestTerraform(t *testing.T) {
	t.Parallel()
	tf, checker := newTerraform(t), newChecker(t)
	if _, err := tf.run(t.Context(), ".", "fmt", "-check", "-recursive", "-diff"); err != nil {
		t.Error(err)
	}
	r := tf.test(t, ".")
	wrong := slices.Concat(r.failed, checkQueries(t, checker, t.TempDir(), r.states[eventHubsTests]))
	for _, file := range []string{eventHubsTests, foreignTests} {
		secrets, found := r.states[file].secrets()
		wrong = append(wrong, secrets...)
		if found < 3 { // what is looked for must be there to be found
			t.Errorf("%s: the mocked cloud has %d secrets only", file, found)
		}
	}
	for _, what := range wrong {
		t.Error(what)
	}
	t.Run("mistakes", func(t *testing.T) {
		t.Parallel()
		findMistakes(t, tf, checker)
	})
	t.Run("pages", func(t *testing.T) {
		t.Parallel()
		rehearsePages(t, outputs(r.states[eventHubsTests]), outputs(r.states[foreignTests]))
	})
}
