package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

// TestExport sends the users of export jobs, from files in several forms.
func TestExport(t *testing.T) {
	t.Parallel()
	plain := exportOf(3)
	for name, text := range map[string]string{
		"plain":          plain,
		"gzip":           zipped(plain),
		"two gzip parts": zipped(plain[:len(plain)/2]) + zipped(plain[len(plain)/2:]),
		"Windows":        "\uFEFF" + strings.ReplaceAll(plain, "\n", "\r\n"),
		"blank lines":    "\n\n" + strings.ReplaceAll(plain, "\n", "\n \n"),
		"no line feed":   strings.TrimSuffix(plain, "\n"),
		"twice":          plain + plain,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &target{}
			f.send(t, "", "-rate", "1000", "-parallel", "1", file(t, text)).says(t, 0, "       3  delivered", "       0  not delivered")
			if diff := cmp.Diff(userIDs(3), f.ids()); diff != "" {
				t.Errorf("users (-want +got):\n%s", diff)
			}
		})
	}
	f := &target{}
	f.send(t, plain, "-rate", "1000", "-").says(t, 0, "       3  users read", "       3  delivered")
	f.send(t, exportOf(0), "-").says(t, 0, "       0  users read", "       0  delivered")
}

// TestRequest checks the request for a user, with and without the profile.
func TestRequest(t *testing.T) {
	t.Parallel()
	const profile = `{"user_id":"auth0|żółw🎉","created_at":"2026-11-21T19:00:00.123Z","email":"jane@example.com","x":"\ud800","x":[1.50,null]}`
	want := post{key: key, userID: "auth0|żółw🎉"}
	want.id = registration.DeriveID("acme-dev", want.userID, "2026-11-21T19:00:00.123Z")
	for flag, body := range map[string]string{
		"-profile=false": `{"userId":"auth0|żółw🎉","tenant":"acme-dev","user":{"created_at":"2026-11-21T19:00:00.123Z"}}`,
		"-profile": `{"userId":"auth0|żółw🎉","tenant":"acme-dev","user":` +
			strings.Replace(profile, `\ud800`, "\uFFFD", 1) + `}`, // a lone surrogate is not text; the function writes the same
	} {
		f := &target{}
		f.send(t, profile, flag, "-").says(t, 0)
		if len(f.posts) != 1 {
			t.Fatalf("got %d requests", len(f.posts))
		}
		want.body = body
		got := f.posts[0]
		got.userID = want.userID // the stand-in refuses duplicate members
		if got != want {
			t.Errorf("%s: got %+v, want %+v", flag, got, want)
		}
	}
}

// TestIDs compares the sent ids with the table that the Action and the handler also use.
func TestIDs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "ids.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Name      string `json:"name"`
		Tenant    string `json:"tenant"`
		UserID    string `json:"userId"`
		CreatedAt string `json:"createdAt"`
		EventID   string `json:"eventId"`
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, row := range rows {
		if _, err := time.Parse(time.RFC3339Nano, row.CreatedAt); row.Tenant == "" || err != nil {
			continue // the program sends no such user
		}
		checked++
		line, err := json.Marshal(map[string]string{"user_id": row.UserID, "created_at": row.CreatedAt})
		if err != nil {
			t.Fatal(err)
		}
		f := &target{}
		env := append(functionEnv(), "AUTH0_TENANT="+row.Tenant)
		start(t.Context(), t, world{"https://fn.example": f}, env, string(line), "-").says(t, 0)
		if got := f.posts[0]; got.id != row.EventID || got.userID != row.UserID {
			t.Errorf("%s: got %s for %q, want %s for %q", row.Name, got.id, got.userID, row.EventID, row.UserID)
		}
	}
	if checked == 0 {
		t.Error("nothing was checked")
	}
}

// TestExports reads many forms of exports. All users in them are sent, and everything that is not a user is reported.
func TestExports(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "exports.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Name   string   `json:"name"`
		Text   string   `json:"text"`
		Base64 []byte   `json:"base64"`
		Users  int      `json:"users"`
		Says   []string `json:"says"`
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			f := &target{}
			code := min(len(row.Says), 1)
			r := f.send(t, row.Text+string(row.Base64), "-rate", "1000", "-parallel", "1", "-")
			r.says(t, code, fmt.Sprintf("%8d  delivered", row.Users))
			told := []string{""}
			for _, says := range row.Says {
				told = append([]string{`not sent: "` + says}, told...)
			}
			if diff := cmp.Diff(told, strings.Split(r.stderr, "\n")); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(userIDs(row.Users), f.ids()); diff != "" {
				t.Errorf("users (-want +got):\n%s", diff)
			}
		})
	}
	if len(rows) == 0 {
		t.Error("nothing was read")
	}
}

// TestSeveralFiles shows that a file without users does not prevent the users of the next file from being sent.
func TestSeveralFiles(t *testing.T) {
	t.Parallel()
	f := &target{}
	csv := file(t, "user_id,created_at\n")
	f.send(t, "", "-rate", "1000", "-parallel", "1", csv, file(t, exportOf(2))).says(t, 1, "       1  not understood, not sent", "       2  delivered")
	if diff := cmp.Diff(userIDs(2), f.ids()); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}

// TestLargeExport shows that an array of many users is not in memory at once. It is not parallel, because it measures
// memory.
func TestLargeExport(t *testing.T) {
	const users, limit = 5_000, 8 << 20
	profile := `"created_at":"2026-11-21T00:00:00.000Z","x":"` + strings.Repeat("x", 4000) + "\"}\n"
	reader, writer := io.Pipe()
	go func() {
		_, err := io.WriteString(writer, "[")
		for i := 0; i < users && err == nil; i++ {
			_, err = fmt.Fprintf(writer, "%s{\"user_id\":\"auth0|%d\",%s", strings.Repeat(",", min(i, 1)), i, profile)
		}
		_ = writer.CloseWithError(err)
	}()
	count, most := 0, uint64(0)
	for _, err := range exported([]string{"-"}, reader) {
		if err != nil {
			t.Fatal(err)
		}
		if count++; count%(users/4) == 0 {
			runtime.GC()
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
	}
	if count != users || most > limit {
		t.Errorf("got %d users of 4 kB each and %d bytes on the heap, want %d and at most %d", count, most, users, limit)
	}
}

// TestBadFile shows that a file with a read error is reported, after its readable users were sent.
func TestBadFile(t *testing.T) {
	t.Parallel()
	packed := zipped(exportOf(50))
	for name, c := range map[string]struct{ text, says string }{
		"cut off":       {packed[:len(packed)-10], "unexpected EOF"},
		"damaged":       {packed[:len(packed)-8] + "\x00\x00\x00\x00\x00\x00\x00\x00", "gzip: invalid checksum"},
		"header only":   {packed[:5], "unexpected EOF"},
		"endless text":  {`{"user_id":"` + strings.Repeat("x", longestValue), "is longer than 16 MiB"},
		"endless array": {`{"user_id":[` + strings.Repeat("1,", longestValue/2), "is longer than 16 MiB"},
		"a folder":      {"", "is a directory"},
		"no such thing": {"", "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t, c.text)
			switch name {
			case "a folder":
				path = t.TempDir()
			case "no such thing":
				path += "x"
			}
			r := (&target{}).send(t, "", "-rate", "1000", path)
			if r.code != 1 || !strings.Contains(r.stderr, c.says) {
				t.Errorf("got exit code %d, want 1 and %q\n%s", r.code, c.says, r.stderr)
			}
		})
	}
}

// TestSpanOfExport sends only the users created in the span, which excludes its end.
func TestSpanOfExport(t *testing.T) {
	t.Parallel()
	f := &target{}
	f.send(t, exportOf(10), "-rate", "1000", "-parallel", "1", "-from", "2026-11-21T01:00:03+01:00", "-to", "2026-11-21T00:00:05Z", "-").
		says(t, 0, "      10  users read", "       8  created outside the time span", "       2  delivered")
	if diff := cmp.Diff([]string{"auth0|3", "auth0|4"}, f.ids()); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}

// FuzzExport searches for an export with a user whose event id differs from the Action's, or with an error that
// repeats a part of it.
func FuzzExport(f *testing.F) {
	for _, text := range []string{
		exportOf(2), "[" + exportOf(1) + "]", `{"user_id":"a","created_at":"2026-11-21T00:00:00Z","x":"\ud800"}`, `null`, "{", `{"user_id":"a","user_id":"b"}`,
		"{\"a\":\"\n{}", "[[{}", "{\"a\":{\"b\":[}", "PK\x03\x04", "\xff\xfe{\x00", "\uFEFF{}", "a,b\n", zipped(exportOf(1)),
	} {
		f.Add([]byte(text))
	}
	known := regexp.MustCompile(`^-(, line \d+(, value \d+ of it)?)?: [-'>:;",./a-zA-Z0-9_ ]+$`)
	f.Fuzz(func(t *testing.T, text []byte) {
		for u, err := range exported([]string{"-"}, bytes.NewReader(text)) {
			if unreadable, ok := errors.AsType[*unreadableError](err); ok {
				if !known.MatchString(err.Error()) || unreadable.where == "" {
					t.Errorf("the error may repeat the export: %v", err)
				}
				continue
			}
			if err != nil {
				return // damaged gzip
			}
			if u.id == "" || u.createdAt == "" || u.created.IsZero() && !strings.HasPrefix(u.createdAt, "0001-01-01") {
				t.Errorf("got %+v", u)
			}
			for _, profile := range []bool{false, true} {
				if _, err := (&function{}).body(u, profile); err != nil {
					t.Errorf("it cannot be sent: %v", err)
				}
			}
		}
	})
}
