package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
	"userrelay/test/must"
)

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text) // a buffer accepts everything
	_ = w.Close()
	return b.String()
}

// TestRequest checks the request for a user of an export and of an event, which keeps Auth0's own id: of the user the id
// and the time, or with -profile everything.
func TestRequest(t *testing.T) {
	t.Parallel()
	const (
		id      = "auth0|żółw🎉"
		created = `"created_at":"2026-11-21T19:00:00.123Z"`
		profile = `{"user_id":"` + id + `",` + created + `,"email":"jane@example.com","x":"\ud800","x":[1.50,null]}`

		request = `{"userId":"` + id + `","tenant":"acme-dev","user":`
		event   = `{"specversion":"1.0","type":"user.created","id":"evt_0000000000000000000000","source":"urn:auth0:acme-dev.eu.auth0.com",` +
			`"time":"2026-11-21T19:00:00.123Z","a0tenant":"acme-dev","a0stream":"est_38ANnv8pQhqsZrX2VFbftv","data":{"object":`
	)
	for args, body := range map[string]string{
		"-profile=false -":       request + `{` + created + `}}`,
		"-profile -":             request + strings.Replace(profile, `\ud800`, "\uFFFD", 1) + `}`, // a lone surrogate is not text; the function writes the same
		"-events -profile=false": event + `{"user_id":"` + id + `",` + created + `}}}`,
		"-events -profile":       event + `{` + created + `,"email":"jane@example.com","user_id":"` + id + `"}}}`,
	} {
		f, derived := &target{}, registration.DeriveID("acme-dev", id, "2026-11-21T19:00:00.123Z")
		want := post{key: key, user: id, source: acme, id: derived, event: derived, body: body}
		if strings.HasPrefix(args, "-events") {
			want.auth0ID = "evt_0000000000000000000000"
			a := &tenant{users: usersAt(1, day().Add(19*time.Hour+123*time.Millisecond), 0)}
			a.users[0].id = id
			a.send(t, f, strings.Fields(args)...).says(t, 0, "       1  delivered")
		} else {
			f.send(t, profile, strings.Fields(args)...).says(t, 0, "       1  delivered")
		}
		if diff := cmp.Diff([]post{want}, f.posts, cmp.AllowUnexported(post{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", args, diff)
		}
	}
}

// TestIDs compares the sent ids with the table that the Action and the handler also use.
func TestIDs(t *testing.T) {
	t.Parallel()
	for _, row := range table[struct{ Name, Tenant, UserID, CreatedAt, EventID string }](t, "ids.json") {
		line := string(must.Get[[]byte](t)(json.Marshal(map[string]string{"user_id": row.UserID, "created_at": row.CreatedAt})))
		f := &target{env: []string{"AUTH0_TENANT=" + row.Tenant}}
		r := f.send(t, line, "-")
		if _, err := time.Parse(time.RFC3339Nano, row.CreatedAt); row.Tenant == "" || err != nil {
			f.got(t) // with another id than the Action's it would be another event
			continue
		}
		r.says(t, 0)
		if got := f.posts[0]; got.id != row.EventID || got.user != row.UserID {
			t.Errorf("%s: got %s for %q, want %s for %q", row.Name, got.id, got.user, row.EventID, row.UserID)
		}
	}
}

// TestExports reads many forms of exports. All users in them are sent, and everything that is not a user is reported.
func TestExports(t *testing.T) {
	t.Parallel()
	for _, row := range table[struct {
		Name, Text string
		Base64     []byte
		Users      int
		Says       []string
	}](t, "exports.json") {
		f := &target{}
		r := f.send(t, row.Text+string(row.Base64), "-")
		r.says(t, min(len(row.Says), 1), fmt.Sprintf("%8d  delivered", row.Users))
		told := ""
		if len(row.Says) > 0 {
			told = `not sent: "` + strings.Join(row.Says, "\n"+`not sent: "`) + "\n"
		}
		if diff := cmp.Diff(told, r.stderr); diff != "" {
			t.Errorf("%s: told (-want +got):\n%s", row.Name, diff)
		}
		f.got(t, userIDs(row.Users)...)
	}
}

// TestFiles reads several files: one without users does not prevent the users of the next one from being sent, and a
// user in two of them is sent once. With a time span, which excludes its end, it sends only the users created in it.
func TestFiles(t *testing.T) {
	t.Parallel()
	plain := exportOf(6)
	files := []string{file(t, "user_id,created_at\n"), file(t, zipped(plain[:len(plain)/2])+zipped(plain[len(plain)/2:])), file(t, exportOf(3))}
	f := &target{}
	f.send(t, "", files...).says(t, 1, "      10  users read", "       1  unreadable, not sent", "       3  read more than once", "       6  delivered")
	f.got(t, userIDs(6)...)
	f = &target{}
	f.send(t, "", append([]string{"-from", "2026-11-21T01:00:03+01:00", "-to", "2026-11-21T00:00:05Z"}, files[1:]...)...).
		says(t, 0, "       9  users read", "       7  created outside the time span", "       2  delivered")
	f.got(t, "auth0|3", "auth0|4")
}

// TestBadFile shows that a file with a read error is reported, after its readable users were sent.
func TestBadFile(t *testing.T) {
	t.Parallel()
	packed := zipped(exportOf(50))
	for says, path := range map[string]string{
		": unexpected EOF\n":         file(t, packed[:len(packed)-10]),
		": gzip: invalid checksum\n": file(t, packed[:len(packed)-8]+"\x00\x00\x00\x00\x00\x00\x00\x00"),
		": unexpected EOF":           file(t, packed[:5]),
		`, line 1": is longer`:       file(t, `{"user_id":"`+strings.Repeat("x", longestValue)),
		": is longer than 16 MiB\n":  file(t, `{"user_id":[`+strings.Repeat("1,", longestValue/2)),
		"is a directory\n":           t.TempDir(),
		"no such file or directory":  file(t, "") + "x",
	} {
		f := &target{}
		if r := f.send(t, "", path); r.code != 1 || !strings.Contains(r.stderr, says) {
			t.Errorf("got exit code %d, want 1 and %q\n%s", r.code, says, r.stderr)
		}
		if strings.Contains(says, "checksum") {
			f.got(t, userIDs(50)...)
		}
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
	known := regexp.MustCompile(`^-(, line \d+(, value \d+)?)?: [-'>:;",./a-zA-Z0-9_ ]+$`)
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
