package realkafka

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const minJava = 17 // required by Kafka 4.x's broker

// java is a Java runtime together with the jars of a Kafka.
type java struct {
	program string
	home    string
	version string   // of the virtual machine, to the build
	jars    []string // sorted
}

var javaSetting = regexp.MustCompile(`(?m)^\s*(java\.home|java\.specification\.version|java\.vm\.version) = (.*?)\r?$`)

// findJava asks the program for its Java home. Brokers are started with that Java and not with the program, which may
// be a script that does not end the JVM when it is killed.
func findJava(ctx context.Context, program, kafkaHome string) (*java, error) {
	libs, err := filepath.Abs(filepath.Join(kafkaHome, "libs")) // brokers run in other folders
	if err != nil {
		return nil, fmt.Errorf("look for Kafka's jars: %w", err)
	}
	jars, err := filepath.Glob(filepath.Join(libs, "*.jar"))
	if err != nil {
		return nil, fmt.Errorf("look for Kafka's jars: %w", err)
	}
	isBroker := func(jar string) bool {
		ok, err := filepath.Match("kafka_*-4.*.jar", filepath.Base(jar))
		return ok && err == nil
	}
	if !slices.ContainsFunc(jars, isBroker) {
		return nil, fmt.Errorf("no Kafka 4 in %s", libs)
	}
	slices.Sort(jars)
	out, err := runProcess(exec.CommandContext(ctx, program, "-XshowSettings:properties", "-version"))
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", program, err)
	}
	settings := map[string]string{}
	for _, m := range javaSetting.FindAllSubmatch(out, -1) {
		settings[string(m[1])] = string(m[2])
	}
	major, err := strconv.Atoi(settings["java.specification.version"])
	if err != nil || major < minJava {
		return nil, fmt.Errorf("java %q is too old: Kafka needs %d", settings["java.specification.version"], minJava)
	}
	home := settings["java.home"]
	jvm, err := exec.LookPath(filepath.Join(home, "bin", "java"))
	if err != nil {
		return nil, fmt.Errorf("look for the program of %s: %w", program, err)
	}
	return &java{program: jvm, home: home, version: settings["java.vm.version"], jars: jars}, nil
}

// key identifies this Java with these jars. The JVM itself refuses a class archive if a jar's time or size has
// changed.
func (j *java) key() (string, error) {
	var id strings.Builder
	id.WriteString(j.home + "\n" + j.version + "\n")
	for _, jar := range j.jars {
		fi, err := os.Stat(jar)
		if err != nil {
			return "", fmt.Errorf("look at a jar: %w", err)
		}
		fmt.Fprintf(&id, "%s %d %d\n", jar, fi.Size(), fi.ModTime().UnixNano())
	}
	sum := sha256.Sum256([]byte(id.String()))
	return hex.EncodeToString(sum[:12]), nil
}

// command returns the command for a class of Kafka with arguments and the folder's log4j2.properties.
func (j *java) command(ctx context.Context, flags []string, dir string, args ...string) *exec.Cmd {
	// The class path lists the jars, because a class archive is valid for the same string only.
	all := slices.Concat(flags, []string{
		"-Dlog4j2.configurationFile=" + filepath.Join(dir, log4jFile),
		"-cp", strings.Join(j.jars, string(os.PathListSeparator)),
	}, args)
	cmd := exec.CommandContext(ctx, j.program, all...) //nolint:gosec // G204: the caller's own Java
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// jvmFlags makes a JVM small and quick to start.
func (o *Options) jvmFlags(archive, jwksURL string) []string {
	heap := "-Xmx256m"
	if o.Nodes > 1 {
		heap = "-Xmx192m"
	}
	flags := []string{
		"-Xms64m", heap, "-Xss256k", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.net.preferIPv4Stack=true",
		// The only URL from which the broker may fetch keys.
		"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=" + jwksURL,
	}
	if !o.FullJIT {
		flags = append(flags, "-XX:TieredStopAtLevel=1")
	}
	if archive != "" {
		flags = append(flags, "-XX:SharedArchiveFile="+archive)
	}
	return append(flags, o.JVMFlags...)
}
