package e2e_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"userrelay/test/must"
)

// TestMistakesOnATerminal shows that a terminal shows each mistake once.
func TestMistakesOnATerminal(t *testing.T) {
	t.Parallel()
	screen, terminal := openTerminal(t)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), handlerBinary, "-check")
	cmd.Env, cmd.Stderr = []string{noOutbox, "KAFKA_BROKERS=v4lue", "LOG_LEVEL=v4lue"}, terminal
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 2 {
		t.Errorf("got code %d (%v), want 2", code, err)
	}
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(screen) // it ends with an error, since nobody has the terminal open any more
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r", "")), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "KAFKA_BROKERS: ") || !strings.HasPrefix(lines[1], "LOG_LEVEL: ") ||
		lines[2] != "2 settings are wrong; see docs/settings.md" {
		t.Errorf("got %q", lines)
	}
}

// openTerminal opens a new pseudo-terminal, and returns its output.
func openTerminal(t *testing.T) (screen, terminal *os.File) {
	t.Helper()
	screen = must.Get[*os.File](t)(os.OpenFile("/dev/ptmx", os.O_RDWR, 0))
	t.Cleanup(func() { _ = screen.Close() })
	fd := int(screen.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number := must.Get[int](t)(unix.IoctlGetInt(fd, unix.TIOCGPTN))
	return screen, must.Get[*os.File](t)(os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0))
}
