package console_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/console"
)

// TestLevels has every level for every setting: its stream, and silence below the setting.
func TestLevels(t *testing.T) {
	t.Parallel()
	for _, level := range []slog.Level{
		slog.LevelDebug, slog.LevelInfo, slog.LevelWarn - 1, slog.LevelWarn, slog.LevelWarn + 1, slog.LevelError, slog.LevelError + 4,
	} {
		for _, lowest := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			for _, asJSON := range []bool{false, true} {
				var low, high bytes.Buffer
				log := console.New(&low, &high, console.Options{Level: lowest, JSON: asJSON})
				log.Log(t.Context(), level, "A message", "key", "value")
				stream, other, written := &low, &high, level >= lowest
				if level >= slog.LevelWarn {
					stream, other = other, stream
				}
				word := "level=" + level.String() + " "
				if asJSON {
					word = `"level":"` + level.String() + `"`
				}
				if strings.Contains(stream.String(), word) != written || (stream.Len() > 0) != written || other.Len() > 0 || log.Enabled(t.Context(), level) != written {
					t.Errorf("%v with %v as the lowest: stdout %q, stderr %q", level, lowest, &low, &high)
				}
			}
		}
	}
}

// The host reads lines: a record that is two lines would be two entries, and the second would have no level.
func TestLines(t *testing.T) {
	t.Parallel()
	const time = `{"time":"`
	for _, asJSON := range []bool{false, true} {
		var stdout, stderr bytes.Buffer
		log := console.New(&stdout, &stderr, console.Options{JSON: asJSON}).With("a", 1).WithGroup("g").With("b", 2)
		log.Info("two\nlines", "c", "x\r\n\ty")
		log.Warn("high", "c", 4)
		for stream, want := range map[*bytes.Buffer][2]string{
			&stdout: {`level=INFO msg="two\nlines" a=1 g.b=2 g.c="x\r\n\ty"`, `"level":"INFO","msg":"two\nlines","a":1,"g":{"b":2,"c":"x\r\n\ty"}}`},
			&stderr: {`level=WARN msg=high a=1 g.b=2 g.c=4`, `"level":"WARN","msg":"high","a":1,"g":{"b":2,"c":4}}`},
		} {
			got, wanted := stream.String(), want[0]+"\n" // no time: func adds it
			if asJSON {
				head, rest, _ := strings.Cut(strings.TrimPrefix(got, time), `",`)
				if wanted = want[1] + "\n"; !strings.HasPrefix(got, time) || head == "" {
					t.Errorf("no time in %q", got)
				}
				got = rest
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("JSON %t (-want +got):\n%s", asJSON, diff)
			}
		}
	}
}

func TestABrokenStreamIsTold(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	reader, broken := io.Pipe()
	_ = reader.Close()
	h := console.New(&stdout, broken, console.Options{}).Handler()
	if err := h.Handle(t.Context(), slog.Record{Level: slog.LevelError, Message: "lost"}); err == nil {
		t.Error("Handle told no error of a stream that takes nothing")
	}
	if err := h.Handle(t.Context(), slog.Record{Level: slog.LevelInfo, Message: "kept"}); err != nil || !strings.Contains(stdout.String(), "kept") {
		t.Errorf("the other stream: %v, %q", err, &stdout)
	}
}
