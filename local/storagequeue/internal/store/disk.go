package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	fileName = "queues.db"
	oldName  = "journal" // of versions that kept a format of their own
)

// The keys in a queue's bucket.
const (
	metadataKey = "metadata"
	messagesKey = "messages" // the bucket of the queue's messages, by their numbers
)

// disk is the file that has the queues. Changes that come while others are being written share the next transaction, and
// with it its two fsyncs. A nil disk keeps nothing.
type disk struct {
	db      *bbolt.DB
	closing func() error

	writing sync.Mutex // held while a batch is written
	failed  error      // after a failure nothing is written any more: memory is ahead of the file. writing guards it

	mu     sync.Mutex
	newest *batch
}

// batch is what is written in one transaction.
type batch struct {
	writes []write
	taken  bool  // it is being written, or has been. disk.mu guards it
	err    error // why it was not written. disk.writing guards it
}

// write writes a change.
type write func(*bbolt.Tx) error

// openDisk opens the file in a folder, which is made if need be.
func openDisk(dir string) (*disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, oldName)); err == nil {
		return nil, errors.New("the file " + oldName + " there has queues that only an earlier version reads: have that version empty them, or remove the file")
	}
	const atOnce = time.Nanosecond // 0 would wait for ever
	db, err := bbolt.Open(filepath.Join(dir, fileName), 0o600, &bbolt.Options{
		Timeout: atOnce, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true, // it is made anew at the next start
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, errors.New("lock the file " + fileName + ": another process may use it")
	case err != nil:
		return nil, fmt.Errorf("open the file %s: %w", fileName, err)
	}
	d := &disk{db: db, newest: &batch{taken: true}}
	d.closing = sync.OnceValue(func() error { return errors.Join(d.sync(d.latest()), db.Close()) })
	return d, nil
}

// encode returns a value as the file has it.
func (d *disk) encode(value any) ([]byte, error) {
	if d == nil {
		return nil, nil
	}
	text, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode for the file %s: %w", fileName, err)
	}
	return text, nil
}

// add adds a change to what is written next.
func (d *disk) add(w write) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.newest.taken {
		d.newest = &batch{}
	}
	d.newest.writes = append(d.newest.writes, w)
}

// latest returns the batch of the newest change.
func (d *disk) latest() *batch {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.newest
}

// sync returns when a batch, and all before it, are on disk, or cannot be written. The first who waits for a batch writes it.
func (d *disk) sync(b *batch) error {
	if d == nil {
		return nil
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	taken := b.taken
	b.taken = true
	d.mu.Unlock()
	if !taken {
		b.err = d.commit(b.writes)
		b.writes = nil
	}
	return b.err
}

func (d *disk) commit(writes []write) error {
	if d.failed != nil {
		return d.failed
	}
	err := d.db.Update(func(tx *bbolt.Tx) error {
		for _, w := range writes {
			if err := w(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.failed = fmt.Errorf("write the queues: %w", err)
	}
	return d.failed
}

// close writes what nobody has waited for, and closes the file. Nothing can be written after it.
func (d *disk) close() error {
	if d == nil {
		return nil
	}
	return d.closing()
}

// load returns the queues in the file, without what has expired.
func (d *disk) load(now time.Time) (map[string]*queue, error) {
	queues := map[string]*queue{}
	err := d.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			q, err := d.loadQueue(string(name), b)
			if err != nil {
				return fmt.Errorf("queue %q: %w", name, err)
			}
			q.expire(now)
			queues[q.name] = q
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the file %s: %w", fileName, err)
	}
	return queues, nil
}

var errForeign = errors.New("not what a store writes")

func (d *disk) loadQueue(name string, b *bbolt.Bucket) (*queue, error) {
	q := newQueue(name, nil, d)
	if err := json.Unmarshal(b.Get([]byte(metadataKey)), &q.metadata); err != nil {
		return nil, fmt.Errorf("decode the metadata: %w", err)
	}
	messages := b.Bucket([]byte(messagesKey))
	if messages == nil {
		return nil, errForeign
	}
	err := messages.ForEach(func(key, value []byte) error {
		var m Message
		if err := json.Unmarshal(value, &m, json.RejectUnknownMembers(true)); err != nil {
			return fmt.Errorf("decode a message: %w", err)
		}
		if len(key) != 8 || q.items[m.ID] != nil {
			return errForeign
		}
		q.insert(m, binary.BigEndian.Uint64(key))
		return nil
	})
	return q, err
}

// The changes. They hold values, and never what memory may change later.

func writeQueue(name string, metadata []byte) write {
	return func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return err
		}
		if _, err := b.CreateBucketIfNotExists([]byte(messagesKey)); err != nil {
			return err
		}
		return b.Put([]byte(metadataKey), metadata)
	}
}

func writeDrop(name string) write {
	return func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(name)) }
}

func writeClear(name string) write {
	return func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(name))
		if err := b.DeleteBucket([]byte(messagesKey)); err != nil {
			return err
		}
		_, err := b.CreateBucket([]byte(messagesKey))
		return err
	}
}

func writeMessage(name string, number uint64, message []byte) write {
	return func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(name)).Bucket([]byte(messagesKey)).Put(messageKey(number), message)
	}
}

func writeDelete(name string, number uint64) write {
	return func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(name)).Bucket([]byte(messagesKey)).Delete(messageKey(number))
	}
}

// messageKey has the messages in the order in which they were put.
func messageKey(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }
