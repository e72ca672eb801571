package realkafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Files in the cluster's folder.
const (
	brokerPEM = "broker.pem"
	caPEM     = "ca.pem"
	jwksFile  = "jwks.json"
	idFile    = "cluster-id"
)

const (
	startLimit = 5 * time.Minute  // for Start; it takes seconds, but longer on a busy machine with a new class archive
	stopLimit  = 30 * time.Second // for an orderly Close; after that brokers are killed
	startTries = 5                // with other ports each time
)

// Cluster is a running Kafka. Its methods may be called concurrently.
type Cluster struct {
	opts    Options
	java    *java
	archive string // empty: none
	dir     string
	tempDir bool // Close removes dir
	id      string
	ca      *CA
	signer  *Signer
	nodes   []*Node
}

// Start starts a cluster and returns when every node serves requests. ctx bounds the start only: the brokers run until
// Close. The error names a mistake in o, or has the end of the log of the broker that did not start.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	o, err := opts.complete()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	j, err := findJava(ctx, o.Java, o.Home)
	if err != nil {
		return nil, err
	}
	c := &Cluster{opts: o, java: j, dir: o.Dir}
	if !o.NoArchive {
		c.archive = findArchive(ctx, o, j)
	}
	if err = c.prepare(); err == nil {
		err = c.boot(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start Kafka: %w", err), c.discard())
	}
	return c, nil
}

// prepare creates the folder and the files that all nodes share.
func (c *Cluster) prepare() (err error) {
	if c.dir == "" {
		if c.dir, err = os.MkdirTemp("", "userrelay-kafka-"); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
		c.tempDir = true
	}
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return fmt.Errorf("find the folder: %w", err)
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	// Kafka requires a valid URL, but treats escapes in it as a part of the file's name.
	if slices.Contains(c.opts.Listeners, JWKS) && strings.Contains(c.jwksURL(), "%") {
		return fmt.Errorf("folder %q: Kafka cannot read the keys of listener JWKS in a folder with such characters", c.dir)
	}
	if c.id, err = clusterID(c.path(idFile)); err != nil {
		return err
	}
	for i := range c.opts.Nodes {
		c.nodes = append(c.nodes, &Node{cluster: c, id: i + 1, dir: c.path(fmt.Sprintf("node%d", i+1))})
	}
	return c.writeKeys()
}

// clusterID returns the id in the file, or a new one. Every cluster has a unique id, so that a port that another
// cluster's broker has taken is noticed.
func clusterID(path string) (string, error) {
	if b, err := os.ReadFile(path); err == nil {
		return string(b), nil
	}
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	raw[0] &= 0x7f           // otherwise the id may begin with a dash, and look like an option of the format tool
	id := base64.RawURLEncoding.EncodeToString(raw[:])
	if err := os.WriteFile(path, []byte(id), 0o600); err != nil {
		return "", fmt.Errorf("write the cluster id: %w", err)
	}
	return id, nil
}

// writeKeys makes new certificates and a new signing key at every start, because no client outlives a cluster.
func (c *Cluster) writeKeys() (err error) {
	if c.ca, err = NewCA("userrelay test CA"); err != nil {
		return err
	}
	if c.signer, err = NewSigner("test"); err != nil {
		return err
	}
	cert, err := c.ca.Issue(c.opts.BrokerCert)
	if err != nil {
		return err
	}
	jwks, err := c.signer.JWKS()
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(c.path(caPEM), c.ca.PEM(), 0o600),
		os.WriteFile(c.path(brokerPEM), cert.keystore(), 0o600),
		os.WriteFile(c.path(jwksFile), jwks, 0o600),
	)
}

// boot starts all nodes. It uses other ports if one is taken.
func (c *Cluster) boot(ctx context.Context) error {
	for try := 1; ; try++ {
		if err := c.assignPorts(ctx); err != nil {
			return err
		}
		err := c.launch(ctx)
		if err == nil || !errors.Is(err, errPortTaken) || try == startTries {
			return err
		}
		c.opts.Log.InfoContext(ctx, "a port was taken, starting again with others", "try", try)
		if err := c.killAll(); err != nil {
			return err
		}
	}
}

func (c *Cluster) assignPorts(ctx context.Context) error {
	listeners := c.listeners()
	ports, err := freePorts(ctx, len(c.nodes)*len(listeners))
	if err != nil {
		return err
	}
	for _, n := range c.nodes {
		n.addrs, n.advertised = map[Listener]string{}, map[Listener]string{}
		for _, l := range listeners {
			addr := address(ports[0])
			ports = ports[1:]
			n.addrs[l], n.advertised[l] = addr, addr
			if l == Internal || l == controller {
				continue
			}
			if n.advertised[l], err = c.opts.Advertise(n.id, l, addr); err != nil {
				return fmt.Errorf("advertise listener %s of node %d: %w", l, n.id, err)
			}
		}
	}
	return nil
}

// launch starts the nodes concurrently: of three nodes two are needed to choose a controller.
func (c *Cluster) launch(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range c.nodes {
		g.Go(func() error { return n.launch(ctx) })
	}
	return g.Wait()
}

func (c *Cluster) listeners() []Listener {
	return append([]Listener{controller, Internal}, c.opts.Listeners...)
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

// Bootstrap returns the advertised addresses of all nodes for clients. It panics if the cluster was started without
// that listener.
func (c *Cluster) Bootstrap(l Listener) []string {
	var addrs []string
	for _, n := range c.nodes {
		n.mustHave(l)
		addrs = append(addrs, n.advertised[l])
	}
	return addrs
}

// Node returns a node by its Kafka id, 1 and upwards.
func (c *Cluster) Node(id int) *Node { return c.nodes[id-1] }

// Nodes returns all nodes, by id.
func (c *Cluster) Nodes() []*Node { return slices.Clone(c.nodes) }

// CA is the authority that issued the brokers' certificate, and that brokers trust for clients.
func (c *Cluster) CA() *CA { return c.ca }

// Signer signs tokens for the JWKS listener.
func (c *Cluster) Signer() *Signer { return c.signer }

// Close ends all nodes, including paused ones, and returns when they are gone. With a temporary folder it kills the
// brokers and removes the folder. It may be called more than once.
func (c *Cluster) Close() error {
	if c.tempDir {
		return c.discard()
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var g errgroup.Group
	for _, n := range c.nodes {
		g.Go(func() error { return n.Stop(ctx) })
	}
	return g.Wait()
}

// discard kills all nodes and removes the folder if it is a temporary one.
func (c *Cluster) discard() error {
	err := c.killAll()
	if c.tempDir {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
}

func (c *Cluster) killAll() error {
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.Kill())
	}
	return errors.Join(errs...)
}

// LogTail returns the end of every node's log, at most lines lines of each, for a failed test.
func (c *Cluster) LogTail(lines int) string {
	var b strings.Builder
	for _, n := range c.nodes {
		fmt.Fprintf(&b, "node %d (%s):\n%s\n", n.id, n.LogPath(), tail(n.LogPath(), 0, lines))
	}
	return b.String()
}
