package realkafka_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"userrelay/local/realkafka"
	"userrelay/test/kafkatest"
	"userrelay/test/must"
	"userrelay/test/wait"
)

const helperName = "run-a-broker-and-wait"

// helper is the process that TestNothingStaysBehind kills: it starts a cluster, prints the broker's process id and
// waits.
func helper() {
	if len(os.Args) != 4 || os.Args[1] != helperName {
		return
	}
	c, err := realkafka.Start(context.Background(), realkafka.Options{
		Home: os.Args[2], Dir: os.Args[3], Listeners: []realkafka.Listener{realkafka.Plaintext},
	})
	if err == nil {
		_, err = fmt.Fprintln(os.Stdout, c.Node(1).PID())
	}
	if err != nil {
		slog.Error("run a broker", "error", err)
		os.Exit(1)
	}
	select {}
}

// TestNothingStaysBehind kills a process that runs a broker, and checks that the broker ends as well.
func TestNothingStaysBehind(t *testing.T) {
	self := must.Get[string](t)(os.Executable())
	cmd := exec.CommandContext(t.Context(), self, helperName, kafkatest.Home(t), t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%v, %v", err, cmd.Wait())
	}
	pid := must.Get[int](t)(strconv.Atoi(strings.TrimSpace(line)))
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the broker does not run: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	wait.For(t, "the broker is gone", func() bool {
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || zombie(pid)
	})
}

// zombie reports whether a process has ended and only waits for its new parent to notice.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}
