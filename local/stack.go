package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"userrelay/handler/outbox"
	"userrelay/local/broker"
	"userrelay/local/freeport"
	"userrelay/local/funchost"
	"userrelay/local/portal"
	"userrelay/local/portal/peek"
	"userrelay/local/realkafka"
	"userrelay/local/storagequeue"
)

// The node of this app in Application Insights; any GUID does.
const instrumentationKey = "00000000-0000-0000-0000-000000000000"

// The time limit for shutdown. A delivery takes at most 4 s.
const shutdownLimit = 3500 * time.Millisecond

// stack is everything that runs.
type stack struct {
	options
	console *quiet       // of the host and the handler
	used    map[int]bool // ports that something here has, or will have

	saying     sync.Mutex
	out        io.Writer
	running    atomic.Pointer[funchost.Host]
	background sync.WaitGroup // what goes on beside the host; ends with the context of run

	broker  *broker.Broker // nil where there is another
	apache  *apacheSwitch  // nil likewise
	brokers string
	queues  queues
	portal  *portal.Portal
	page    string // address of the portal
}

// runStack starts everything and runs until ctx ends.
func runStack(ctx context.Context, o options, out io.Writer) (err error) {
	unlock, err := o.lockData()
	if err != nil {
		return err
	}
	defer unlock()
	if o.key, err = o.functionKey(); err != nil {
		return err
	}
	s := &stack{options: o, out: out, console: &quiet{out: out}, brokers: o.kafka, used: map[int]bool{}}
	ctx, end := context.WithCancel(ctx)
	defer s.background.Wait()
	defer end()
	if !o.noHost {
		if err := s.build(ctx); err != nil {
			return err
		}
		s.port = s.portFor(ctx, "the function", s.port)
	}
	stopKafka, err := s.startKafka(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopKafka()) }()
	if err := s.startQueues(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.queues.Close()) }()
	stopPortal, err := s.startPortal(ctx)
	if err != nil {
		return err
	}
	defer stopPortal()

	if o.noHost {
		if err := s.sayNoHost(); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	if s.settings != "" {
		if _, err := s.localSettings(); err != nil {
			return err
		}
	}
	return s.host(ctx)
}

// startKafka starts the broker, unless the user has one.
func (s *stack) startKafka(ctx context.Context) (stop func() error, err error) {
	switch s.kafka {
	case apacheName:
		apache, err := s.startApache(ctx)
		if err != nil {
			return nil, err
		}
		s.apache = &apacheSwitch{apache.Node(1)}
		s.brokers = strings.Join(apache.Bootstrap(realkafka.Plaintext), ",")
		return apache.Close, nil
	case "":
		if s.broker, err = broker.Start(ctx, s.topic, s.folder("broker"), s.portFor(ctx, "Kafka", kafkaPort)); err != nil {
			return nil, err
		}
		s.brokers = s.broker.Address()
		return s.broker.Close, nil
	default:
		return func() error { return nil }, nil
	}
}

// folder returns the data folder of a part, "" for a temporary one.
func (s *stack) folder(name string) string {
	if s.data == "" {
		return ""
	}
	return filepath.Join(s.data, name)
}

func (s *stack) say(format string, args ...any) {
	s.saying.Lock()
	defer s.saying.Unlock()
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

// queues are the queues of a storage account.
type queues interface {
	ConnectionString() string
	Close() error
}

// startQueues serves the storage account's queues, including the outbox.
func (s *stack) startQueues(ctx context.Context) error {
	if s.azurite {
		s.say("Starting Azurite …")
		a, err := startAzurite(ctx, s.folder("azurite"), [3]int{
			s.portFor(ctx, "Azurite's blobs", queuePort-1), s.portFor(ctx, "the queue", queuePort), s.portFor(ctx, "Azurite's tables", queuePort+1),
		})
		if err != nil {
			return err
		}
		s.queues = a
		return nil
	}
	q, err := storagequeue.Start(storagequeue.Config{Addr: address(s.portFor(ctx, "the queue", queuePort)), Dir: s.folder("outbox")}) //nolint:contextcheck // it is closed in order
	if err != nil {
		return fmt.Errorf("start the stand-in of the Storage queues: %w", err)
	}
	s.queues = q
	return nil
}

// startPortal serves the telemetry endpoint and its page.
func (s *stack) startPortal(ctx context.Context) (stop func(), err error) {
	port := s.pagePort
	if port != 0 {
		port = s.portFor(ctx, "the page", port)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", address(port))
	if err != nil {
		return nil, fmt.Errorf("listen for telemetry: %w", err)
	}
	config := portal.Config{Brokers: strings.Split(s.brokers, ","), Topic: s.topic}
	if config.Client, err = s.login(); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	switch {
	case s.broker != nil:
		config.Broker = s.broker
	case s.apache != nil:
		config.Broker = s.apache
	}
	look, err := peek.New(s.queues.ConnectionString(), outbox.QueueName, outbox.QueueName+"-poison")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("show the outbox: %w", err), listener.Close())
	}
	config.Outbox, config.OutboxAddress = look, queueAddress(s.queues.ConnectionString())
	if s.portal, err = portal.Start(ctx, config); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: s.portal.Handler(), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // until Close
	}()
	s.page = "http://" + listener.Addr().String()
	return func() {
		_ = server.Close()
		<-ended
		s.portal.Close()
		look.Close()
	}, nil
}

// queueAddress returns the host:port of the queues in a connection string.
func queueAddress(connection string) string {
	_, endpoint, _ := strings.Cut(connection, "QueueEndpoint=http://")
	address, _, _ := strings.Cut(endpoint, "/")
	return address
}

// handlerPath is the handler's path after README's build line.
func handlerPath() string {
	if runtime.GOOS == "windows" {
		return "bin/handler.exe"
	}
	return "bin/handler"
}

func (s *stack) build(ctx context.Context) error {
	s.say("Building the handler; the first time takes about a minute.")
	build := exec.CommandContext(ctx, "go", "build", "-pgo=off", "-o", handlerPath(), "./handler") //nolint:gosec // G204: constants
	out, err := build.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("build the handler: %w", ctx.Err())
	case err != nil:
		return fmt.Errorf("build the handler: %w\n%s", err, out)
	}
	return nil
}

// host runs the stand-in for the Functions host, and restarts it when it gives up, as the platform does.
func (s *stack) host(ctx context.Context) error {
	_ = s.kafkaTrouble(ctx) // creates a missing topic; other problems are reported when the handler runs
	env, port := s.handlerEnv(), s.port
	if port == 0 {
		var err error
		if port, err = freeport.Find(ctx); err != nil { // not any: the host comes back to it
			return err
		}
	}
	for announced := false; ; {
		s.console.start()
		h, err := funchost.Start(context.WithoutCancel(ctx), funchost.Config{ // it is shut down in order
			Dir: ".", Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Env: env, Console: s.console, Insights: true, Brief: !s.verbose,
			Keys: funchost.Keys{Functions: map[string]string{"RegisterUser": s.key}}, Observe: s.observe,
		})
		if err != nil {
			s.console.release(false)
			return fmt.Errorf("start the stand-in of the Functions host: %w", err)
		}
		s.running.Store(h)
		s.portal.SetParts(portal.Parts{Host: h.URL(), Handler: h.HandlerURL()})
		if announced {
			s.console.release(false)
		} else {
			announced = s.announce(ctx, h)
		}
		select {
		case <-h.Done():
		case <-ctx.Done():
			s.console.start() // routine lines at the end are not needed
			defer s.console.release(true)
			return shutDown(ctx, h)
		}
		s.say("The host has stopped: %v", h.Close())
		s.say("In Azure the platform starts it again; so does this program, in 2 seconds.")
		if !s.pauseFor(ctx, port) {
			return nil
		}
	}
}

// pauseFor waits as long as the platform does before it starts a host again, and until the port is free: another program may
// have taken it meanwhile. It is false when ctx has ended.
func (s *stack) pauseFor(ctx context.Context, port int) bool {
	const pause = 2 * time.Second
	for told := false; ; {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
		if !taken(ctx, port) {
			return true
		}
		if !told {
			s.say("Port %d was taken meanwhile: the host starts as soon as it is free.", port)
			told = true
		}
	}
}

// shutDown waits until requests in progress are answered.
func shutDown(ctx context.Context, h *funchost.Host) error {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	if err := h.Shutdown(limit); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("shut down the stand-in of the Functions host: %w", err)
	}
	return nil
}
