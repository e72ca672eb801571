package e2e_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
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
	const want = `^KAFKA_BROKERS: .*\r\nLOG_LEVEL: .*\r\n2 settings are wrong; see docs/settings\.md\r\n$`
	if !regexp.MustCompile(want).Match(text) {
		t.Errorf("got %q, want %s", text, want)
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
