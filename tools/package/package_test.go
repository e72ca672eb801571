package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/local/broker"
	"userrelay/local/funchost"
	"userrelay/test/wait"
)

const projectRoot = "../.."

// pack runs the program and returns its package.
func pack(t *testing.T, root string, args ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "userrelay.zip")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), root, append([]string{"-o", out}, args...), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	archive, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(archive)); !strings.Contains(stdout.String(), sum) {
		t.Errorf("the program does not print the package's checksum %s:\n%s", sum, stdout.String())
	}
	return archive
}

// unpack unpacks a package as Azure does, with its modes, and returns these by name.
func unpack(t *testing.T, archive []byte) (folder string, modes map[string]fs.FileMode) {
	t.Helper()
	folder, modes = t.TempDir(), map[string]fs.FileMode{}
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.File {
		modes[f.Name] = f.Mode()
		path := filepath.Join(folder, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		content, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, f.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return folder, modes
}

// TestPackage makes the package of this project and runs it.
func TestPackage(t *testing.T) {
	t.Parallel()
	sbom := filepath.Join(t.TempDir(), "sbom.json")
	archive := pack(t, projectRoot, "-sbom", sbom)
	folder, modes := unpack(t, archive)
	handler := filepath.Join(folder, "bin", "handler")

	t.Run("holds what the app needs and nothing else", func(t *testing.T) {
		t.Parallel()
		want := map[string]fs.FileMode{"host.json": 0o644, "bin/handler": 0o755}
		functions, err := filepath.Glob(filepath.Join(projectRoot, "*", "function.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range functions {
			want[filepath.Base(filepath.Dir(f))+"/function.json"] = 0o644
		}
		for _, name := range []string{"RegisterUser/function.json", "Health/function.json"} {
			if _, ok := want[name]; !ok {
				t.Errorf("the project has no %s", name)
			}
		}
		if d := cmp.Diff(want, modes); d != "" {
			t.Error(d)
		}
	})
	t.Run("has a handler for Azure's instances", func(t *testing.T) {
		t.Parallel()
		program, err := elf.Open(handler)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = program.Close() }()
		if program.Machine != elf.EM_X86_64 {
			t.Errorf("for %v", program.Machine)
		}
		if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Error("it needs libraries of the system")
		}
	})
	t.Run("is the same when it is made again", func(t *testing.T) {
		t.Parallel()
		if again := pack(t, projectRoot); !bytes.Equal(again, archive) {
			t.Errorf("%d bytes, then %d others", len(archive), len(again))
		}
	})
	t.Run("comes with a list of its parts", func(t *testing.T) {
		t.Parallel()
		checkBill(t, sbom, handler)
	})
	t.Run("answers 200 under the Functions host", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
			t.Skip("skipped: the package's handler runs on linux/amd64 only")
		}
		register(t, folder)
	})
}

// checkBill compares the list of parts with the binary.
func checkBill(t *testing.T, sbom, handler string) {
	t.Helper()
	f, err := os.Open(sbom)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(f, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(handler)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go")}
	for _, m := range info.Deps {
		want = append(want, "pkg:golang/"+m.Path+"@"+strings.ReplaceAll(m.Version, "+", "%2B"))
	}
	got := []string{}
	for _, c := range *bom.Components {
		got = append(got, c.PackageURL)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("parts:\n%s", d)
	}
	if !slices.ContainsFunc(got, func(p string) bool { return strings.HasPrefix(p, "pkg:golang/github.com/segmentio/kafka-go@v") }) {
		t.Errorf("kafka-go is not among %q", got)
	}
	for _, c := range *bom.Components {
		if c.Licenses == nil || len(*c.Licenses) == 0 {
			t.Errorf("%s has no licence", c.Name)
		}
	}
	if got, want := bom.Metadata.Timestamp, setting(info.Settings, "vcs.time"); got != want {
		t.Errorf("the list is of %q, the commit of %q", got, want)
	}
	if tools := bom.Metadata.Tools; tools == nil || tools.Components == nil || (*tools.Components)[0].Name != "userrelay/tools/package" {
		t.Errorf("the list does not say who made it: %v", tools)
	}
	binary, err := os.ReadFile(handler)
	if err != nil {
		t.Fatal(err)
	}
	if hashes := *bom.Metadata.Component.Hashes; hashes[0].Value != fmt.Sprintf("%x", sha256.Sum256(binary)) {
		t.Errorf("the list is of another binary: %v", hashes)
	}
}

// register runs the unpacked app under the stand-in for the Functions host, with an in-process broker, and sends a
// registration.
func register(t *testing.T, folder string) {
	t.Helper()
	kafka, err := broker.Start("user-events", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := kafka.Close(); err != nil {
			t.Error(err)
		}
	}()
	host, err := funchost.Start(t.Context(), funchost.Config{
		Dir:     folder,
		Env:     []string{"KAFKA_BROKERS=" + kafka.Address(), "OUTBOX=off", "AzureWebJobs.DrainOutbox.Disabled=true"},
		Keys:    funchost.Keys{Functions: map[string]string{"RegisterUser": "key", "Version": "key"}},
		Console: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	}()
	request, err := http.NewRequestWithContext(wait.Context(t), http.MethodPost, host.FunctionURL("RegisterUser"), strings.NewReader(`{"userId":"auth0|1"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Functions-Key", "key")
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var stored struct {
		Topic  string `json:"topic"`
		Offset *int64 `json:"offset"`
	}
	if err := json.UnmarshalRead(answer.Body, &stored); err != nil {
		t.Fatalf("%s: %v", answer.Status, err)
	}
	if answer.StatusCode != http.StatusOK || stored.Topic != "user-events" || stored.Offset == nil || *stored.Offset != 0 {
		t.Errorf("%s, %+v", answer.Status, stored)
	}
	checkVersion(t, host, filepath.Join(folder, "bin", "handler"))
}

// checkVersion compares the app's version with the packed program.
func checkVersion(t *testing.T, host *funchost.Host, handler string) {
	t.Helper()
	binary, err := os.ReadFile(handler)
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int{"": http.StatusUnauthorized, "key": http.StatusOK} {
		request, err := http.NewRequestWithContext(wait.Context(t), http.MethodGet, host.FunctionURL("Version"), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Functions-Key", key)
		answer, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != want {
			t.Errorf("with the key %q: %s, want %d", key, answer.Status, want)
		}
		if want != http.StatusOK {
			continue
		}
		var build struct{ Commit, SHA256 string }
		if err := json.Unmarshal(text, &build, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(binary)); build.SHA256 != sum || build.Commit != version(info.Settings) {
			t.Errorf("the app says %+v, and is %s of %s", build, sum, version(info.Settings))
		}
	}
}
