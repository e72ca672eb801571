package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
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
	"userrelay/test/must"
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
	archive := must.Get[[]byte](t)(os.ReadFile(out))
	if sum := fmt.Sprintf("%x", sha256.Sum256(archive)); !strings.Contains(stdout.String(), sum) {
		t.Errorf("the program does not print the package's checksum %s:\n%s", sum, stdout.String())
	}
	return archive
}

// unpack unpacks a package, and returns the files' modes by name.
func unpack(t *testing.T, archive []byte) (folder string, modes map[string]fs.FileMode) {
	t.Helper()
	folder, modes = t.TempDir(), map[string]fs.FileMode{}
	r := must.Get[*zip.Reader](t)(zip.NewReader(bytes.NewReader(archive), int64(len(archive))))
	for _, f := range r.File {
		modes[f.Name] = f.Mode()
	}
	if err := os.CopyFS(folder, r); err != nil {
		t.Fatal(err)
	}
	return folder, modes
}

// TestPackage makes the package of this project, which holds what the app needs and nothing else, and runs it.
func TestPackage(t *testing.T) {
	t.Parallel()
	sbom := filepath.Join(t.TempDir(), "sbom.json")
	folder, modes := unpack(t, pack(t, projectRoot, "-sbom", sbom))
	want := map[string]fs.FileMode{"host.json": 0o644, "bin/handler": 0o755}
	for _, f := range must.Get[[]string](t)(filepath.Glob(filepath.Join(projectRoot, "*", "function.json"))) {
		want[filepath.Base(filepath.Dir(f))+"/function.json"] = 0o644
	}
	if d := cmp.Diff(want, modes); d != "" || len(want) < 4 {
		t.Error(d)
	}
	handler := filepath.Join(folder, "bin", "handler")
	program := must.Get[*elf.File](t)(elf.Open(handler))
	defer func() { _ = program.Close() }()
	needsLibraries := slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	if program.Machine != elf.EM_X86_64 || needsLibraries {
		t.Errorf("for %v, needs libraries of the system: %v", program.Machine, needsLibraries)
	}
	checkBill(t, sbom, handler)
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("skipped: the package's handler runs on linux/amd64 only")
	}
	checkRun(t, folder, handler)
}

func contents(t *testing.T, handler string) (info *buildinfo.BuildInfo, sum string) {
	t.Helper()
	binary := must.Get[[]byte](t)(os.ReadFile(handler))
	return must.Get[*buildinfo.BuildInfo](t)(buildinfo.Read(bytes.NewReader(binary))), fmt.Sprintf("%x", sha256.Sum256(binary))
}

// checkBill compares the list of parts with the binary.
func checkBill(t *testing.T, sbom, handler string) {
	t.Helper()
	var bom cyclonedx.BOM
	text := bytes.NewReader(must.Get[[]byte](t)(os.ReadFile(sbom)))
	if err := cyclonedx.NewBOMDecoder(text, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	info, sum := contents(t, handler)
	want := []string{"pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go")}
	for _, m := range info.Deps {
		want = append(want, "pkg:golang/"+m.Path+"@"+strings.ReplaceAll(m.Version, "+", "%2B"))
	}
	got := []string{}
	for _, c := range *bom.Components {
		got = append(got, c.PackageURL)
		if c.Licenses == nil || len(*c.Licenses) == 0 {
			t.Errorf("%s has no licence", c.Name)
		}
	}
	if d := cmp.Diff(want, got); d != "" || !strings.Contains(strings.Join(got, " "), "pkg:golang/github.com/segmentio/kafka-go@v") {
		t.Errorf("parts %q:\n%s", got, d)
	}
	if got, want := bom.Metadata.Timestamp, setting(info.Settings, "vcs.time"); got != want {
		t.Errorf("the list is of %q, the commit of %q", got, want)
	}
	if tools := bom.Metadata.Tools; tools == nil || tools.Components == nil || (*tools.Components)[0].Name != "userrelay/tools/package" {
		t.Errorf("the list does not say who made it: %v", tools)
	}
	if hashes := *bom.Metadata.Component.Hashes; hashes[0].Value != sum {
		t.Errorf("the list is of another binary: %v", hashes)
	}
}

// checkRun runs the unpacked app under the stand-in for the Functions host, with an in-process broker, sends a
// registration, and compares the app's version with the packed program.
func checkRun(t *testing.T, folder, handler string) {
	t.Helper()
	kafka := must.Get[*broker.Broker](t)(broker.Start(t.Context(), "user-events", "", 0))
	host := must.Get[*funchost.Host](t)(funchost.Start(t.Context(), funchost.Config{
		Dir:     folder,
		Env:     []string{"KAFKA_BROKERS=" + kafka.Address(), "OUTBOX=off", "AzureWebJobs.DrainOutbox.Disabled=true"},
		Keys:    funchost.Keys{Functions: map[string]string{"RegisterUser": "key", "Version": "key"}},
		Console: t.Output(),
	}))
	defer func() {
		if err := errors.Join(host.Close(), kafka.Close()); err != nil {
			t.Error(err)
		}
	}()
	ask := func(method, function, key string, status int, into any) {
		t.Helper()
		body := strings.NewReader(`{"userId":"auth0|1"}`)
		request := must.Get[*http.Request](t)(http.NewRequestWithContext(wait.Context(t), method, host.FunctionURL(function), body))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("X-Functions-Key", key)
		answer, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode != status {
			t.Errorf("%s with the key %q: %s, want %d", function, key, answer.Status, status)
		} else if status == http.StatusOK {
			if err := json.UnmarshalRead(answer.Body, into, json.MatchCaseInsensitiveNames(true)); err != nil {
				t.Errorf("%s: %v", function, err)
			}
		}
	}
	var stored struct {
		Topic  string
		Offset *int64
	}
	ask(http.MethodPost, "RegisterUser", "key", http.StatusOK, &stored)
	if stored.Topic != "user-events" || stored.Offset == nil || *stored.Offset != 0 {
		t.Errorf("got %+v", stored)
	}
	ask(http.MethodGet, "Version", "", http.StatusUnauthorized, nil)
	var build struct{ Commit, SHA256 string }
	ask(http.MethodGet, "Version", "key", http.StatusOK, &build)
	if info, sum := contents(t, handler); build.SHA256 != sum || build.Commit != version(info.Settings) {
		t.Errorf("the app says %+v, and is %s of %s", build, sum, version(info.Settings))
	}
}
