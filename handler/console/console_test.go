package console_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"userrelay/handler/console"
)

func TestLevelsGoToTheirStream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		level slog.Level
		want  string // stdout or stderr
		text  string
	}{
		"debug":        {slog.LevelDebug, "stdout", "level=DEBUG"},
		"info":         {slog.LevelInfo, "stdout", "level=INFO"},
		"below warn":   {slog.LevelWarn - 1, "stdout", "level=INFO+3"},
		"warn":         {slog.LevelWarn, "stderr", "level=WARN"},
		"between":      {slog.LevelWarn + 1, "stderr", "level=WARN+1"},
		"error":        {slog.LevelError, "stderr", "level=ERROR"},
		"beyond error": {slog.LevelError + 4, "stderr", "level=ERROR+4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for form, asJSON := range map[string]bool{"text": false, "JSON": true} {
				var stdout, stderr bytes.Buffer
				log := console.New(&stdout, &stderr, console.Options{Level: slog.LevelDebug, JSON: asJSON})
				log.Log(t.Context(), c.level, "A message", "key", "value")
				got, silent := &stdout, &stderr
				if c.want == "stderr" {
					got, silent = silent, got
				}
				if silent.Len() > 0 {
					t.Errorf("%s: the other stream has %q", form, silent)
				}
				text := c.text
				if asJSON {
					text = `"level":"` + strings.TrimPrefix(text, "level=") + `"`
				}
				if !strings.Contains(got.String(), text) {
					t.Errorf("%s: %s has %q, want %s in it", form, c.want, got, text)
				}
			}
		})
	}
}

func TestLevelIsTheLowest(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: "debug info | warn error",
		slog.LevelInfo:  "info | warn error",
		slog.LevelWarn:  "| warn error",
		slog.LevelError: "| error",
	} {
		var stdout, stderr bytes.Buffer
		log := console.New(&stdout, &stderr, console.Options{Level: level})
		told := map[slog.Level]bool{}
		for word, l := range map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError} {
			told[l] = log.Enabled(t.Context(), l)
			log.Log(t.Context(), l, "message "+word)
		}
		out, err, _ := strings.Cut(want, "|")
		for word, l := range map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError} {
			if wanted := strings.Contains(want, word); wanted != told[l] {
				t.Errorf("level %v: Enabled(%v) = %t, want %t", level, l, told[l], wanted)
			}
			if got := strings.Contains(stdout.String(), "message "+word); got != strings.Contains(out, word) {
				t.Errorf("level %v: %q on stdout is %t", level, word, got)
			}
			if got := strings.Contains(stderr.String(), "message "+word); got != strings.Contains(err, word) {
				t.Errorf("level %v: %q on stderr is %t", level, word, got)
			}
		}
	}
}

// The host reads lines: a record that is two lines would be two entries, and the second would have no level.
func TestARecordIsOneLine(t *testing.T) {
	t.Parallel()
	for form, asJSON := range map[string]bool{"text": false, "JSON": true} {
		var stdout, stderr bytes.Buffer
		log := console.New(&stdout, &stderr, console.Options{JSON: asJSON})
		log.Info("two\nlines", "stack", "a\n\tb\r\nc\u2028d", "bytes", []byte("x\ny"))
		log.Error("two\nlines", "stack", "a\n\tb\r\nc\u2028d")
		for stream, out := range map[string]*bytes.Buffer{"stdout": &stdout, "stderr": &stderr} {
			if got := strings.Count(out.String(), "\n"); got != 1 || !strings.HasSuffix(out.String(), "\n") || strings.Contains(out.String(), "\r") {
				t.Errorf("%s on %s: %q, want one line", form, stream, out)
			}
		}
	}
}

func TestJSONHoldsAttributesAndGroups(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	log := console.New(&stdout, &stderr, console.Options{JSON: true}).With("a", 1).WithGroup("g").With("b", 2)
	log.Info("low", "c", 3)
	log.Warn("high", "c", 4)
	for stream, want := range map[*bytes.Buffer]map[string]any{
		&stdout: {"level": "INFO", "msg": "low", "a": 1.0, "g": map[string]any{"b": 2.0, "c": 3.0}},
		&stderr: {"level": "WARN", "msg": "high", "a": 1.0, "g": map[string]any{"b": 2.0, "c": 4.0}},
	} {
		var line struct {
			Time  string         `json:"time"`
			Level string         `json:"level"`
			Msg   string         `json:"msg"`
			A     float64        `json:"a"`
			G     map[string]any `json:"g"`
		}
		if err := json.Unmarshal(stream.Bytes(), &line, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("%q: %v", stream, err)
		}
		group, ok := want["g"].(map[string]any)
		if line.Level != want["level"] || line.Msg != want["msg"] || line.A != want["a"] || !ok ||
			line.G["b"] != group["b"] || line.G["c"] != group["c"] || line.Time == "" {
			t.Errorf("line = %+v, want %v", line, want)
		}
	}
}

func TestTextHoldsAttributesAndGroups(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	console.New(&stdout, &stderr, console.Options{}).With("a", 1).WithGroup("g").Info("low", "c", "x y")
	if got, want := stdout.String(), `level=INFO msg=low a=1 g.c="x y"`+"\n"; got != want { // no time: func adds it
		t.Errorf("line = %q, want %q", got, want)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestABrokenStreamIsTold(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	h := console.New(&stdout, brokenPipe{}, console.Options{}).Handler()
	if err := h.Handle(t.Context(), slog.Record{Level: slog.LevelError, Message: "lost"}); err == nil {
		t.Error("Handle told no error of a stream that takes nothing")
	}
	if err := h.Handle(t.Context(), slog.Record{Level: slog.LevelInfo, Message: "kept"}); err != nil || !strings.Contains(stdout.String(), "kept") {
		t.Errorf("the other stream: %v, %q", err, &stdout)
	}
}
