package realkafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Files in a node's folder.
const (
	propertiesFile = "server.properties"
	log4jFile      = "log4j2.properties"
	brokerLog      = "broker.log"
)

// started is a broker's log line when all its listeners are open. A check from outside is less reliable, because
// another process may have taken the port and accept the connection.
const started = "Kafka Server started"

// Only Selector logs why a login was refused, at level INFO.
const log4j = `rootLogger.level=WARN
rootLogger.appenderRef.out.ref=OUT
logger.selector.name=org.apache.kafka.common.network.Selector
logger.selector.level=INFO
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=INFO
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d{HH:mm:ss,SSS}] %p %m (%c{1})%n%throwable{short}
`

var (
	errPortTaken = errors.New("a port was taken meanwhile")
	errRunning   = errors.New("it is running")
)

// Node is a broker, which is also a controller.
type Node struct {
	cluster    *Cluster
	id         int
	dir        string
	addrs      map[Listener]string // where it listens
	advertised map[Listener]string // where clients are sent to

	mu      sync.Mutex // held while the node is started or ended
	proc    *process   // nil before the first start
	logFrom int64      // where the present run begins in the log
}

// ID is the node's id in Kafka.
func (n *Node) ID() int { return n.id }

// Addr returns the address on which the node itself listens, whatever it advertises. It panics if the node was started
// without that listener.
func (n *Node) Addr(l Listener) string {
	n.mustHave(l)
	return n.addrs[l]
}

// LogPath returns the file with the broker's stdout and stderr of all its runs.
func (n *Node) LogPath() string { return filepath.Join(n.dir, brokerLog) }

// Running reports whether the process exists, paused or not.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running()
}

// PID returns the broker's process id, or 0 if it is not running.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running() {
		return 0
	}
	return n.proc.cmd.Process.Pid
}

// Kill ends the broker with SIGKILL and returns when it is gone. Data that the kernel has accepted for its log files
// survives.
func (n *Node) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running() {
		return nil
	}
	return n.proc.kill()
}

// Stop sends SIGTERM (on Windows it kills), after which the broker hands over its partitions and ends. It returns when
// the broker is gone. If ctx ends first it kills the broker and returns an error.
func (n *Node) Stop(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running() {
		return nil
	}
	return n.proc.stop(ctx)
}

// Pause halts the broker (SIGSTOP): its connections stay open and nothing answers. On Windows it is errors.ErrUnsupported.
func (n *Node) Pause() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running() {
		return fmt.Errorf("pause node %d: %w", n.id, os.ErrProcessDone)
	}
	return pause(n.proc.cmd.Process)
}

// Resume continues a paused broker (SIGCONT).
func (n *Node) Resume() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running() {
		return fmt.Errorf("resume node %d: %w", n.id, os.ErrProcessDone)
	}
	return resume(n.proc.cmd.Process)
}

// Wipe deletes the data of a killed or stopped broker. Restart then starts an empty broker with the same cluster id.
func (n *Node) Wipe() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running() {
		return fmt.Errorf("wipe node %d: %w", n.id, errRunning)
	}
	if err := os.RemoveAll(n.dataDir()); err != nil {
		return fmt.Errorf("wipe node %d: %w", n.id, err)
	}
	return nil
}

// Restart starts a killed or stopped broker again, with the same folder and ports, and returns when it serves
// requests. With SessionTimeout 2 s that takes 3 to 4 s after Kill, because the controller refuses it until its old
// session ends.
func (n *Node) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return n.launch(ctx)
}

func (n *Node) running() bool { return n.proc != nil && n.proc.running() }

func (n *Node) dataDir() string { return filepath.Join(n.dir, "data") }

func (n *Node) mustHave(l Listener) {
	if n.addrs[l] == "" {
		panic(fmt.Sprintf("realkafka: the cluster was started without listener %s", l))
	}
}

// launch configures the broker, formats its folder if necessary, starts it and waits until it is ready.
func (n *Node) launch(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running() {
		return fmt.Errorf("start node %d: %w", n.id, errRunning)
	}
	err := n.configure(ctx)
	if err == nil {
		err = n.spawn(ctx)
	}
	if err == nil {
		err = n.await(ctx)
	}
	if err != nil {
		return fmt.Errorf("start node %d: %w", n.id, err)
	}
	return nil
}

func (n *Node) configure(ctx context.Context) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return fmt.Errorf("make its folder: %w", err)
	}
	conf := filepath.Join(n.dir, propertiesFile)
	err := errors.Join(
		os.WriteFile(conf, []byte(n.properties().String()), 0o600),
		os.WriteFile(filepath.Join(n.dir, log4jFile), []byte(log4j), 0o600),
	)
	if err != nil {
		return fmt.Errorf("write its configuration: %w", err)
	}
	if exists(filepath.Join(n.dataDir(), "meta.properties")) { // formatted by an earlier start
		return nil
	}
	c := n.cluster
	args := []string{"kafka.tools.StorageTool", "format", "-t", c.id, "-c", conf}
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		for _, u := range append([]ScramLogin{{User, Password}, {OtherUser, OtherPassword}}, c.opts.Logins...) {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, u.Name, u.Password))
		}
	}
	cmd := c.java.command(ctx, c.opts.jvmFlags(c.archive, c.jwksURL()), n.dir, args...)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C.UTF-8") // Java reads its arguments by the locale
	out, err := runProcess(cmd)
	if err != nil {
		return fmt.Errorf("format its storage: %w\n%s", err, out)
	}
	return nil
}

func (n *Node) spawn(ctx context.Context) error {
	log, err := os.OpenFile(n.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open its log: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	fi, err := log.Stat()
	if err != nil {
		return fmt.Errorf("look at its log: %w", err)
	}
	n.logFrom = fi.Size()
	c := n.cluster
	flags := c.opts.jvmFlags(c.archive, c.jwksURL())
	if c.opts.archiveAtExit != "" {
		flags = append(flags, "-XX:ArchiveClassesAtExit="+c.opts.archiveAtExit)
	}
	// The broker outlives this context; Kill and Stop end it.
	cmd := c.java.command(context.WithoutCancel(ctx), flags, n.dir, "kafka.Kafka", filepath.Join(n.dir, propertiesFile))
	cmd.Stdout, cmd.Stderr = log, log
	n.proc, err = startProcess(cmd)
	return err
}

// await returns when the broker has started, belongs to this cluster and is in its own list of live brokers.
func (n *Node) await(ctx context.Context) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		if strings.Contains(tail(n.LogPath(), n.logFrom, math.MaxInt), started) && n.registered(ctx) {
			return nil
		}
		select {
		case <-n.proc.done:
			err := fmt.Errorf("it ended (%w): %s", n.proc.err, tail(n.LogPath(), n.logFrom, 20))
			if strings.Contains(tail(n.LogPath(), n.logFrom, math.MaxInt), "failed to bind") {
				return fmt.Errorf("%w: %w", errPortTaken, err)
			}
			return err
		case <-ctx.Done():
			return fmt.Errorf("wait for it to serve: %w: %s", ctx.Err(), tail(n.LogPath(), n.logFrom, 20))
		case <-tick.C:
		}
	}
}

// tail returns the last lines of a file after an offset. It returns "" if the file cannot be read, because it only
// supplements an error.
func tail(path string, from int64, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil || int64(len(b)) < from {
		return ""
	}
	all := strings.Split(strings.TrimSpace(string(b[from:])), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
