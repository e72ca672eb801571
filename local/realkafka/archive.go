package realkafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const archiveLimit = 3 * time.Minute // for making an archive, or waiting for the process that makes it

// findArchive returns the class archive (CDS) for this Java and these jars, and makes it if there is none. If several
// processes need it, one makes it and the others wait. Without an archive a broker only starts slower, so failures are
// only logged, and the result is empty.
func findArchive(ctx context.Context, o Options, j *java) string {
	path, err := archivePath(j)
	if err == nil {
		err = ensureArchive(ctx, o, path)
	}
	if err != nil {
		o.Log.WarnContext(ctx, "Kafka starts without a class archive", "error", err)
		return ""
	}
	return path
}

func archivePath(j *java) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("look for the cache folder: %w", err)
	}
	key, err := j.key()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "userrelay", "kafka-classes")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	return filepath.Join(dir, key+".jsa"), nil
}

func ensureArchive(ctx context.Context, o Options, path string) (err error) {
	if exists(path) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, archiveLimit)
	defer cancel()
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the archive's lock: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // gives the lock back
	if err := waitLock(ctx, lock); err != nil {
		return err
	}
	if exists(path) { // made by the process that had the lock
		return nil
	}
	o.Log.InfoContext(ctx, "making the class archive of this Kafka, once", "path", path)
	// It has another name until it is complete, because readers do not take the lock.
	unfinished := path + ".new"
	if err := makeArchive(ctx, o, unfinished); err != nil {
		return fmt.Errorf("make the class archive: %w", err)
	}
	return os.Rename(unfinished, path)
}

// makeArchive makes a broker do what tests need, and makes its JVM write the list of loaded classes.
func makeArchive(ctx context.Context, o Options, path string) (err error) {
	c, err := Start(ctx, Options{Home: o.Home, Java: o.Java, NoArchive: true, Log: o.Log, archiveAtExit: path})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.discard()) }()
	const topic = "warm-up"
	if err := c.CreateTopic(ctx, topic, 1, 1, nil); err != nil {
		return err
	}
	for _, l := range []Listener{Plaintext, SASLPlaintext, SASLSSL} {
		if err := warmUp(ctx, c, l, topic); err != nil {
			return fmt.Errorf("use listener %s: %w", l, err)
		}
	}
	return c.Node(1).Stop(ctx) // the JVM writes the archive when it ends by itself
}

// warmUp writes a record through a listener and reads it again.
func warmUp(ctx context.Context, c *Cluster, l Listener, topic string) error {
	cl, err := kgo.NewClient(append(c.franzLogin(l), kgo.SeedBrokers(c.Bootstrap(l)...), kgo.ConsumeTopics(topic))...)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	if err := cl.PollFetches(ctx).Err0(); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	return nil
}

func waitLock(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if got, err := tryLock(f); got || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another process to make the archive: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
