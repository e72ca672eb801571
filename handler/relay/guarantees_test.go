package relay_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"userrelay/handler/delivery"
	"userrelay/handler/relay"
	"userrelay/test/must"
)

// Every row of the page that allows a copy makes exactly one here. The last two rows concern Kafka and its producer.
func TestCopies(t *testing.T) {
	rows := map[string]func(x *rig){
		"sent-again": func(x *rig) {
			for range 2 { // an id of the caller's choice, at two instances
				x.deliver(x.with(x.q), event(), relay.InKafka)
			}
		},
		"killed-late": func(x *rig) {
			x.k.answers = script(answer{3 * s, nil}, answer{0, nil})
			r := x.with(x.q)
			x.deliver(r, event(), relay.InOutbox)
			r.Close(ended(x.Context()))
			<-time.After(2 * time.Minute) // Kafka has it, and the copy is seen
			x.draining()
		},
		"silent": func(x *rig) {
			x.k.answers = script(answer{time.Hour, nil}, answer{0, nil})
			r, _ := x.draining()
			x.deliver(r, event(), relay.InOutbox)
			<-time.After(3 * time.Minute)
		},
		"drain-died": func(x *rig) {
			x.q.add(queued().Encode(), 0)
			got, err := x.q.Receive(x.Context(), 1, time.Minute)
			if err != nil || x.with(x.q).Drain(x.Context(), got[0].Message) != nil {
				x.Fatal(err)
			}
			<-time.After(time.Minute) // nobody deletes it
			x.draining()
		},
		"put-unknown": func(x *rig) {
			x.k.answers = script(answer{0, fails(delivery.Unavailable)}, answer{0, nil})
			x.q.fault = putUnknown
			r := x.with(x.q)
			if _, err := r.Deliver(x.Context(), event()); delivery.ClassOf(err) != delivery.UnknownOutcome {
				x.Fatal(err)
			}
			x.q.breaks(nil)
			if out := x.deliver(r, event(), relay.InKafka); out.Replayed {
				x.Errorf("%+v", out)
			}
			x.draining()
		},
		"not-deleted": func(x *rig) {
			x.q.add(queued().Encode(), 0)
			x.q.fault = away(time.Now().Add(3*time.Minute), "Delete")
			_, stop := x.draining()
			<-time.After(s)
			stop()
			<-time.After(4 * time.Minute)
			x.draining() // another instance: the same one would know the message
		},
	}
	each(t, rows, func(x *rig, happens func(x *rig)) {
		happens(x)
		<-time.After(s)
		if x.k.n() != 2 || x.q.len() != 0 {
			x.Errorf("%d records, %d messages left", x.k.n(), x.q.len())
		}
	})
	for line := range strings.Lines(read(t, "docs/guarantees.md")) {
		name, ok := strings.CutPrefix(line, "| `")
		if name, _, _ = strings.Cut(name, "`"); ok && rows[name] == nil && name != "other-log" && name != "forgotten" {
			t.Errorf("the page has the row %s, and no test shows it", name)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	return string(must.Get[[]byte](t)(os.ReadFile(filepath.Join("..", "..", file))))
}

// The tests that the pages about guarantees name exist.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	names := regexp.MustCompile("`((?:handler|test)/[a-z0-9/]+)\\.(Test[A-Za-z0-9]+)`")
	for _, page := range []string{"docs/guarantees.md", "docs/reliability.md"} {
		named := names.FindAllStringSubmatch(read(t, page), -1)
		if len(named) == 0 {
			t.Errorf("%s names no test", page)
		}
		for _, m := range named {
			files := must.Get[[]string](t)(filepath.Glob(filepath.Join("..", "..", m[1], "*_test.go")))
			if !slices.ContainsFunc(files, func(f string) bool { return strings.Contains(read(t, f[len("../../"):]), "\nfunc "+m[2]+"(") }) {
				t.Errorf("%s has no %s", m[1], m[2])
			}
		}
	}
}
