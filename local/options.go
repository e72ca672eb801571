package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// The default ports of func, Kafka and Azurite. The page's port is our own choice.
const (
	functionPort = 7071
	pagePort     = 7080
	kafkaPort    = 9092
	queuePort    = 10001
)

// options are the values of the flags.
type options struct {
	port     int      // of the function; 0 takes free ones for all
	pagePort int      // of the page and the telemetry endpoint; 0 takes a free one
	given    []int    // ports that were asked for, and must be free
	ready    string   // file to write when all of it answers
	settings string   // file to write for func start
	data     string   // folder that keeps the topic, the outbox and the key between runs
	key      string   // of the function
	kafka    string   // brokers of the user's own, host:port, or apacheName
	topic    string   // of Kafka
	azurite  bool     // and not the stand-in of the queues
	noHost   bool     // neither host nor handler
	open     bool     // the page, in a browser
	verbose  bool     // all that is printed, not only what a person needs
	extra    []string // settings, NAME=VALUE
	env      []string // environment of this process
}

// readOptions reads the flags. Its error is one sentence; the help goes to out.
func readOptions(args, env []string, out io.Writer) (options, error) {
	o := options{env: env}
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.port, "port", functionPort, "port of the function; 0 means free ports for everything")
	flags.IntVar(&o.pagePort, "page", pagePort, "port of the page; 0 means a free one")
	flags.StringVar(&o.ready, "ready", "", "write the addresses to this `file` as JSON when everything answers")
	flags.StringVar(&o.settings, "settings", "", "write the settings for func start to this `file`, such as local.settings.json")
	flags.StringVar(&o.data, "data", "", "keep the topic, the outbox and the key in this `folder` between runs")
	flags.StringVar(&o.key, "key", "", "key of the function, instead of a random one; letters, digits, - and _")
	flags.StringVar(&o.kafka, "kafka", "", "use the broker at this `host:port` instead of one of its own, or \"apache\": a real one from KAFKA_HOME, which needs Java")
	flags.StringVar(&o.topic, "topic", "user-events", "Kafka topic")
	flags.BoolVar(&o.azurite, "azurite", false, "keep the outbox in Azurite, which has blobs for func start, too; needs Node.js and npm ci --prefix test/azurite")
	flags.BoolVar(&o.noHost, "no-host", false, "start neither host nor handler, and print the settings for func start")
	flags.BoolVar(&o.open, "open", false, "open the page in a browser")
	flags.BoolVar(&o.verbose, "v", false, "print all: what the stand-ins leave out, addresses, the host's lines of each call")
	flags.Func("env", "one more setting for the handler, `NAME=VALUE`; may be repeated", func(s string) error {
		if name, _, ok := strings.Cut(s, "="); !ok || name == "" {
			return errors.New("must be NAME=VALUE")
		}
		o.extra = append(o.extra, s)
		return nil
	})
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintln(out, "go run ./local runs everything on this machine. Flags:")
		flags.SetOutput(out)
		flags.PrintDefaults()
		return o, err //nolint:wrapcheck // the caller knows it
	} else if err != nil {
		return o, fmt.Errorf("%w; see go run ./local -help", err)
	}
	if flags.NArg() > 0 {
		return o, errors.New("it takes no arguments but flags; see go run ./local -help")
	}
	said := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { said[f.Name] = true })
	if said["port"] {
		o.given = append(o.given, o.port)
	}
	if said["page"] {
		o.given = append(o.given, o.pagePort)
	}
	if o.port == 0 && !said["page"] {
		o.pagePort = 0
	}
	return o, nil
}

// check returns a sentence about options that cannot work, before anything is built or opened.
func (o *options) check(ctx context.Context) error {
	if _, err := os.Stat("host.json"); err != nil {
		return errors.New("run it in the project's folder, the one with host.json: go run ./local")
	}
	if err := o.checkPorts(ctx); err != nil {
		return err
	}
	if err := checkBrokers(o.kafka); err != nil {
		return err
	}
	if o.kafka == apacheName && o.kafkaHome() == "" {
		return errors.New("-kafka apache needs Java 17, and KAFKA_HOME with an unpacked Apache Kafka 4 (kafka_2.13-4.x.tgz from kafka.apache.org)")
	}
	if o.azurite {
		if _, err := os.Stat(azuriteMain); err != nil {
			return errors.New("-azurite needs Azurite, and that Node.js 20; this installs it: npm ci --prefix test/azurite")
		}
	}
	return errors.Join(o.checkNames(), o.checkFiles())
}

func (o *options) checkPorts(ctx context.Context) error {
	for _, port := range []int{o.port, o.pagePort} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("%d is not a port", port)
		}
	}
	for _, port := range o.given {
		if port != 0 && taken(ctx, port) {
			return fmt.Errorf("port %d is taken; -port and -page take another, or 0 for a free one", port)
		}
	}
	return nil
}

func (o *options) checkNames() error {
	if !regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`).MatchString(o.topic) || o.topic == "." || o.topic == ".." {
		return errors.New("-topic must be a topic's name: letters, digits, . _ and -, at most 249")
	}
	if o.key != "" && !regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`).MatchString(o.key) {
		return errors.New("-key must be letters, digits, - and _, at most 128")
	}
	return nil
}

func (o *options) checkFiles() error {
	if o.data != "" {
		if info, err := os.Stat(o.data); err == nil && !info.IsDir() { //nolint:gosec // G703: the user names it
			return errors.New("-data must be a folder, and " + o.data + " is a file")
		}
	}
	for name, file := range map[string]string{"-ready": o.ready, "-settings": o.settings} {
		if file == "" {
			continue
		}
		if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
			return fmt.Errorf("%s: there is no folder %s", name, filepath.Dir(file))
		}
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			return fmt.Errorf("%s must be a file, and %s is a folder", name, file)
		}
	}
	return nil
}

// checkBrokers says what is wrong with -kafka.
func checkBrokers(brokers string) error {
	if brokers == "" || brokers == apacheName {
		return nil
	}
	for broker := range strings.SplitSeq(brokers, ",") {
		if strings.Contains(broker, "://") {
			return errors.New("-kafka must be host:port without a scheme, such as localhost:9092")
		}
		host, text, err := net.SplitHostPort(broker)
		port, numeric := strconv.ParseUint(text, 10, 16)
		if err != nil || host == "" || strings.ContainsAny(host, " /@") || numeric != nil || port == 0 {
			return errors.New("-kafka must be host:port, such as localhost:9092, or apache")
		}
	}
	return nil
}

// kafkaHome is the folder of a real Kafka, for -kafka apache.
func (o *options) kafkaHome() (home string) {
	for _, setting := range o.env {
		if value, ok := strings.CutPrefix(setting, "KAFKA_HOME="); ok {
			home = value
		}
	}
	return home
}

// loginOrTLS says whether the connection to the brokers needs settings that only the handler can read.
func (o *options) loginOrTLS() bool {
	for _, setting := range append(append([]string{}, o.env...), o.extra...) {
		for _, prefix := range []string{"KAFKA_SECURITY_PROTOCOL=", "KAFKA_SASL_", "KAFKA_TLS_", "KAFKA_OAUTH_"} {
			if strings.HasPrefix(setting, prefix) {
				return true
			}
		}
	}
	return false
}
