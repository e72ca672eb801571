package kafka_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"userrelay/test/kafka/ledger"
	"userrelay/test/wait"
)

// load is what the tests of faults have a producer do: no attempt is given up before its outcome is known.
func load() ledger.Load { return ledger.Load{Callers: 64, Each: 50, Timeout: patience} }

func threeBrokers() []kfake.Opt {
	return []kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(8, topic)}
}

// cutAnswers closes the connections of a share of Produce requests: half of them before the broker has the request, half
// after it has stored the records. It returns how often it did each.
func cutAnswers(c *kfake.Cluster, share float64) func() (before, after int) {
	var mu sync.Mutex
	var before, after int
	draw := rand.New(rand.NewPCG(1, 2))
	c.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		if draw.Float64() >= share {
			return nil, nil, false
		}
		if draw.IntN(2) == 0 {
			before++
			return nil, errors.New("cut before"), true
		}
		after++
		return nil, nil, false
	})
	return func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return before, after
	}
}

func TestCutBeforeAppend(t *testing.T) {
	t.Parallel()
	c := startBroker(t, threeBrokers()...)
	counts := cutAnswers(c, 0.05)
	p := newProducer(t, c.ListenAddrs())
	var l ledger.Ledger
	l.Run(t.Context(), p, load())
	if before, _ := counts(); before == 0 {
		t.Error("nothing was cut")
	}
	wantAllStored(t, &l, c)
}

// wantAllStored wants every record of load acknowledged and in the log once.
func wantAllStored(t *testing.T, l *ledger.Ledger, c *kfake.Cluster) {
	t.Helper()
	r := compare(t, l, c)
	if want := load().Callers * load().Each; r.Acknowledged != want || r.Copies != 0 {
		t.Errorf("%d records acknowledged and %d copies, want %d and none", r.Acknowledged, r.Copies, want)
	}
}

// TestCutAfterAppend has answers cut off whose request the broker has carried out.
func TestCutAfterAppend(t *testing.T) {
	t.Parallel()
	cut := &cutter{share: 0.05}
	c := startBroker(t, append(threeBrokers(), kfake.ListenFn(cut.listen))...)
	p := newProducer(t, c.ListenAddrs())
	var l ledger.Ledger
	l.Run(t.Context(), p, load())
	if cut.stop() == 0 {
		t.Error("nothing was cut")
	}
	wantAllStored(t, &l, c)
}

// cutter closes connections instead of writing a share of the answers.
type cutter struct {
	mu    sync.Mutex
	share float64
	cuts  int
}

func (c *cutter) listen(network, address string) (net.Listener, error) {
	return c.before((&listener{}).listen)(network, address)
}

// before makes listeners of others that cut.
func (c *cutter) before(listen func(network, address string) (net.Listener, error)) func(string, string) (net.Listener, error) {
	return func(network, address string) (net.Listener, error) {
		l, err := listen(network, address)
		return &cuttingListener{l, c}, err
	}
}

// stop ends it and returns how many answers were cut.
func (c *cutter) stop() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.share = 0
	return c.cuts
}

func (c *cutter) cut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rand.Float64() >= c.share {
		return false
	}
	c.cuts++
	return true
}

type cuttingListener struct {
	net.Listener
	c *cutter
}

func (l *cuttingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &cuttingConn{conn, l.c}, nil
}

type cuttingConn struct {
	net.Conn
	c *cutter
}

func (c *cuttingConn) Write(b []byte) (int, error) {
	if c.c.cut() {
		return 0, errors.Join(net.ErrClosed, c.Close())
	}
	return c.Conn.Write(b)
}

// TestAnsweredAndStored has the broker answer that it does not know whether a batch is kept, which it has appended.
func TestAnsweredAndStored(t *testing.T) {
	t.Parallel()
	c := startBroker(t, threeBrokers()...)
	p := newProducer(t, c.ListenAddrs())
	fault := c.Fault(faultOf(7, 40), faultOf(20, 40)) // REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS_AFTER_APPEND
	var l ledger.Ledger
	l.Run(t.Context(), p, load())
	if fault.Hits() != 80 {
		t.Errorf("%d answers of 80 were faults", fault.Hits())
	}
	wantAllStored(t, &l, c)
}

// TestLeaderMoves moves partitions between brokers under load.
func TestLeaderMoves(t *testing.T) {
	t.Parallel()
	c := startBroker(t, threeBrokers()...)
	p := newProducer(t, c.ListenAddrs())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mover sync.WaitGroup
	moves := 0
	mover.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ; ; moves++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if moves%10 == 0 {
				c.ShufflePartitionLeaders()
			} else if err := c.MoveTopicPartition(topic, int32(moves%8), int32(moves%3)); err != nil {
				t.Error(err)
			}
		}
	})
	var l ledger.Ledger
	l.Run(t.Context(), p, load())
	cancel()
	mover.Wait()
	if moves == 0 {
		t.Error("nothing was moved")
	}
	wantAllStored(t, &l, c)
}

// TestBrokerRestarts stops the only broker and starts it again on the same port and folder, under load.
func TestBrokerRestarts(t *testing.T) {
	t.Parallel()
	port, dir := freePort(t), filepath.Join(t.TempDir(), "data")
	start := func() *kfake.Cluster {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(dir), kfake.SeedTopics(8, topic))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := start()
	defer func() { c.Close() }()
	p := newProducer(t, c.ListenAddrs())
	var l ledger.Ledger
	var callers sync.WaitGroup
	paused := load()
	paused.Pause = 5 * time.Millisecond
	callers.Go(func() { l.Run(t.Context(), p, paused) })
	for range 3 {
		wait.For(t, "records are stored", func() bool { return c.PartitionInfo(topic, 0).HighWatermark > 5 })
		c.Close()
		wait.For(t, "records wait", func() bool { n, _ := p.Held(); return n > 10 })
		c = start()
	}
	callers.Wait()
	wantAllStored(t, &l, c)
}

// TestStoredAndRefused has a broker store a batch and answer a code that sounds as if it had not: a leader does so when
// it ceases to lead while it waits for its replicas.
func TestStoredAndRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []int16{3, 6, 56, -1} {
		t.Run(strconv.Itoa(int(code)), func(t *testing.T) {
			t.Parallel()
			c := startBroker(t)
			p := newProducer(t, c.ListenAddrs())
			var l ledger.Ledger
			l.Note("before", produce(t, p, "before"), nil)
			versions := kversion.Stable()
			versions.SetMaxKeyVersion(kmsg.Produce.Int16(), 8) // topics have names, as in ours
			other, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.MaxVersions(versions))
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			answered := storeAndAnswer(t, c, other, code, 8)
			l.Run(t.Context(), p, ledger.Load{Callers: 16, Each: 50, Timeout: patience})
			if n := answered.Load(); n != 8 {
				t.Errorf("the code was answered %d times", n)
			}
			if r := compare(t, &l, c); r.Copies != 0 || r.Acknowledged != 16*50+1 {
				t.Error(r)
			}
		})
	}
}

// storeAndAnswer has some Produce requests be carried out, by way of another client, and be answered with a code. It
// returns how many.
func storeAndAnswer(t *testing.T, c *kfake.Cluster, other *kgo.Client, code int16, most int32) *atomic.Int32 {
	t.Helper()
	var done atomic.Int32
	var busy atomic.Bool
	c.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		request, ok := r.(*kmsg.ProduceRequest)
		if !ok || done.Load() >= most || busy.Swap(true) { // meanwhile others come, the other client's among them
			return nil, nil, false
		}
		defer busy.Store(false)
		var answer *kmsg.ProduceResponse
		c.SleepControl(func() {
			again := kmsg.NewPtrProduceRequest()
			again.Acks, again.TimeoutMillis, again.Topics = request.Acks, request.TimeoutMillis, request.Topics
			var err error
			if answer, err = again.RequestWith(t.Context(), other); err != nil {
				t.Error(err)
			}
		})
		if answer == nil || len(answer.Topics) != 1 || answer.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Errorf("the broker did not store the batch: %+v", answer)
			return nil, nil, false
		}
		done.Add(1)
		answer.SetVersion(request.Version)
		part := &answer.Topics[0].Partitions[0]
		part.ErrorCode, part.BaseOffset = code, -1
		return answer, nil, true
	})
	return &done
}
