package portal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Record is one record of the topic.
type Record struct {
	Place
	Time    string   `json:"time"` // RFC 3339, to the millisecond
	Key     *string  `json:"key"`
	Value   *string  `json:"value"`
	Headers []Header `json:"headers"`

	at time.Time
}

// Header is one header of a record.
type Header struct {
	Key   string  `json:"key"`
	Value *string `json:"value"`
}

// Limits of the shown key, value and headers of a record.
const (
	maxText    = 16 << 10 // bytes of each
	maxHeaders = 50
)

func newRecord(r *kgo.Record) *Record {
	out := &Record{
		Place:   Place{r.Topic, r.Partition, r.Offset},
		Time:    r.Timestamp.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Key:     text(r.Key),
		Value:   text(r.Value),
		Headers: []Header{},
		at:      r.Timestamp,
	}
	for _, h := range r.Headers[:min(maxHeaders, len(r.Headers))] {
		out.Headers = append(out.Headers, Header{*text([]byte(h.Key)), text(h.Value)})
	}
	return out
}

// text makes bytes readable: it replaces invalid UTF-8 by U+FFFD, and cuts long text. It returns nil for nil.
func text(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b[:min(maxText, len(b))])
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(b) > maxText {
		s += fmt.Sprintf("… (%d bytes)", len(b))
	}
	return &s
}

const (
	keepRecords = 50
	pollPeriod  = time.Second     // after this time without a record Kafka is checked
	pingLimit   = time.Second     // for its answer
	readLimit   = 3 * time.Second // for one record
)

var (
	errUnreachable = errors.New("Kafka cannot be reached") //nolint:staticcheck // ST1005: Kafka is a name
	errNotRead     = errors.New("not read yet")
	errNoRecord    = errors.New("there is no such record (any more)")
)

// topic reads the records of a topic with a client that is independent of the handler, so that it shows what is really
// stored.
type topic struct {
	name    string
	brokers []string
	login   []kgo.Opt
	changed func()
	client  *kgo.Client // of follow

	mu     sync.Mutex
	newest []*Record // the oldest first
	failed error     // why the newest records cannot be read; nil: they can
}

func newTopic(brokers []string, name string, login []kgo.Opt, changed func()) (*topic, error) {
	start := kgo.NewOffset().AtEnd().Relative(-keepRecords)
	t := &topic{name: name, brokers: brokers, login: login, changed: changed, failed: errNotRead}
	var err error
	t.client, err = t.connect(kgo.ConsumeTopics(name), kgo.ConsumeStartOffset(start), kgo.ConsumeResetOffset(start))
	return t, err
}

// connect returns a client that quickly notices when a broker is available again.
func (t *topic) connect(opts ...kgo.Opt) (*kgo.Client, error) {
	client, err := kgo.NewClient(append(append(opts, t.login...),
		kgo.SeedBrokers(t.brokers...),
		kgo.ClientID("userrelay-portal"),
		kgo.DialTimeout(pingLimit),
		kgo.MetadataMinAge(250*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 250 * time.Millisecond }),
		kgo.FetchMaxWait(250*time.Millisecond),
	)...)
	if err != nil {
		return nil, fmt.Errorf("make a Kafka client: %w", err)
	}
	return client, nil
}

// follow keeps the newest records until ctx ends.
func (t *topic) follow(ctx context.Context) {
	defer t.client.Close()
	for ctx.Err() == nil {
		polled, cancel := context.WithTimeout(ctx, pollPeriod)
		fetches := t.client.PollFetches(polled)
		cancel()
		fetched := fetches.Records()
		err := fetches.Err()
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil // nothing new
		}
		if len(fetched) == 0 && err == nil {
			err = ping(ctx, t.client)
		}
		if ctx.Err() == nil {
			t.tell(fetched, err)
		}
	}
}

func ping(ctx context.Context, client *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	if client.Ping(ctx) != nil {
		return errUnreachable
	}
	return nil
}

// tell adds read records, and notes whether Kafka could be reached.
func (t *topic) tell(fetched []*kgo.Record, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(fetched) == 0 && (err == nil) == (t.failed == nil) && !errors.Is(t.failed, errNotRead) {
		return
	}
	t.failed = err
	for _, r := range fetched {
		t.keep(newRecord(r))
	}
	t.changed()
}

// keep inserts a record among the newest. Partitions are read in no particular order, and after an outage a record may
// be read again.
func (t *topic) keep(r *Record) {
	i, found := slices.BinarySearchFunc(t.newest, r, func(a, b *Record) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	if found {
		return
	}
	t.newest = slices.Insert(t.newest, i, r)
	if len(t.newest) > keepRecords {
		t.newest = slices.Delete(t.newest, 0, 1)
	}
}

// latest returns the newest records, the newest first, and why some may be missing. Records do not change.
func (t *topic) latest() ([]*Record, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	newest := slices.Clone(t.newest)
	slices.Reverse(newest)
	return newest, t.failed
}

// read returns a record. The error is errUnreachable without Kafka, or errNoRecord if there is no such record.
func (t *topic) read(ctx context.Context, partition int32, offset int64) (*Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	at := map[int32]kgo.Offset{partition: kgo.NoResetOffset().At(offset)}
	client, err := t.connect(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t.name: at}))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := ping(ctx, client); err != nil {
		return nil, err
	}
	for _, r := range client.PollRecords(ctx, 1).Records() {
		if r.Offset == offset {
			return newRecord(r), nil
		}
	}
	return nil, errNoRecord
}
