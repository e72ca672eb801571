package simulation

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/handler/outbox"
	"userrelay/local/storagequeue"
)

const queueAddress = "127.0.0.1:10001"

// patient is a mutex whose waiters do not stop virtual time.
type patient chan struct{}

func newPatient() patient { return make(chan struct{}, 1) }

// Lock waits for its turn.
func (p patient) Lock() { p <- struct{}{} }

// Unlock lets the next one in.
func (p patient) Unlock() { <-p }

// world is the state of a run.
type world struct {
	seed  uint64
	plan  Plan
	begin time.Time

	net            *network
	brokers        *brokers
	queue          *storagequeue.Server
	queueTransport *http.Transport
	messages       *azqueue.QueueClient // the judge's
	poison         *azqueue.QueueClient
	sink           *sink
	hosts          []*host
	noTokens       atomic.Bool
	wg             sync.WaitGroup  // all other goroutines
	life           context.Context //nolint:containedctx // the run is a life
	end            context.CancelFunc

	mu         sync.Mutex
	log        []line
	attempts   []*attempt
	operations []operation
	lives      map[string]*life
	problems   []string
	tiedAt     time.Duration // see jitter
	tied       map[uint64]int
	traces     map[string]string // by message id
}

// line is a line of the log.
type line struct {
	at   time.Duration
	text string
}

func (w *world) logf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, line{time.Since(w.begin), fmt.Sprintf(format, args...)})
}

func (w *world) problem(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// check ends a run that cannot go on.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

// sleep waits, and returns the context's error if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hash returns a number that depends only on the seed, its purpose and the time.
func (w *world) hash(who, what string) uint64 {
	return mix(w.key(who, what) ^ uint64(time.Since(w.begin))*0x9e3779b97f4a7c15)
}

func (w *world) key(who, what string) uint64 {
	h := uint64(14695981039346656037) ^ w.seed*0x9e3779b97f4a7c15
	for _, x := range []byte(who + "\xff" + what) {
		h = (h ^ uint64(x)) * 1099511628211
	}
	return h
}

func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// jitter returns a time of 0.2 to 2.2 ms that depends only on the seed, its purpose and the time: neither on the order
// of calls nor on which of several equal connections calls it. So hardly any two events happen at the same time, and
// the plan determines the order of events instead of the scheduler. Simultaneous calls of equal parts (the lanes of a
// producer) get different times: their order does not matter, but there must be one.
func (w *world) jitter(who, what string) time.Duration {
	now, key := time.Since(w.begin), w.key(who, what)
	w.mu.Lock()
	if now != w.tiedAt {
		w.tiedAt = now
		clear(w.tied)
	}
	n := w.tied[key]
	w.tied[key]++
	w.mu.Unlock()
	x := mix(key ^ uint64(now)*0x9e3779b97f4a7c15 ^ uint64(n)<<48)
	return 200*time.Microsecond + time.Duration(x%2_000_000)
}

// Result is the result of a run.
type Result struct {
	Log      string
	Events   int
	Answers  map[int]int    // by status; 0: none
	Copies   map[string]int // by the row of docs/guarantees.md that explains them
	Records  int
	Problems []string
}

// faultsBegin is when the times of a plan's calls and faults begin.
const faultsBegin = time.Second

// Run runs a plan. It must be called in a bubble of testing/synctest.
func Run(p Plan) Result {
	w := &world{
		seed: p.Seed, plan: p, begin: time.Now(), net: newNetwork(), lives: map[string]*life{}, tied: map[uint64]int{}, traces: map[string]string{},
	}
	w.life, w.end = context.WithCancel(context.Background())
	w.brokers = &brokers{w: w, setup: p.Setup, mu: newPatient()}
	if p.Setup.TLS {
		w.brokers.tls = &tls.Config{Certificates: []tls.Certificate{newCertificate()}, MinVersion: tls.VersionTLS12}
	}
	w.brokers.start()
	w.startQueue()
	w.startSink()
	for i := range p.Setup.Hosts {
		<-time.After(w.jitter(strconv.Itoa(i), "start"))
		w.hosts = append(w.hosts, newHost(w, i))
	}
	<-time.After(faultsBegin)
	before := w.goroutines()
	watched, asked := w.watch(), w.askHealth()
	w.happen()
	w.logf("all healed")
	asked()
	w.recover()
	watched()
	w.rest(before)
	for _, h := range w.hosts {
		h.close()
	}
	w.logf("all stopped")
	r := w.judge()
	w.brokers.cluster.Close()
	w.queueTransport.CloseIdleConnections()
	_ = w.queue.Close()
	w.sink.close()
	w.end()
	w.wg.Wait()
	<-time.After(time.Minute) // goroutines of libraries end by themselves; the clock stops when this function returns
	return r
}

func (w *world) startQueue() {
	l := must(w.net.Listen("tcp", queueAddress))
	w.queue = must(storagequeue.Start(storagequeue.Config{Addr: queueAddress, Listener: l}))
	w.queueTransport = &http.Transport{DialContext: route{net: w.net}.dial, MaxIdleConnsPerHost: 100}
	w.messages = w.queueClient(outbox.QueueName, w.queueTransport, policy.RetryOptions{})
	must(w.messages.Create(w.life, nil))
	w.poison = w.queueClient(outbox.QueueName+"-poison", w.queueTransport, policy.RetryOptions{})
	must(w.poison.Create(w.life, nil))
}

// queueClient is a client of Microsoft's.
func (w *world) queueClient(name string, way http.RoundTripper, retry policy.RetryOptions) *azqueue.QueueClient {
	return must(azqueue.NewQueueClientFromConnectionString(w.queue.ConnectionString(), name, &azqueue.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: way}, Retry: retry},
	}))
}

// happen runs the calls and the faults.
func (w *world) happen() {
	var busy sync.WaitGroup
	for n, c := range w.plan.Calls {
		busy.Go(func() { w.call(n, c) })
	}
	for n, f := range w.plan.Faults {
		busy.Go(func() {
			<-time.After(f.At + time.Duration(n)*time.Microsecond)
			w.logf("fault %v", f)
			end := w.apply(f)
			<-time.After(f.For)
			end()
			w.logf("over %v", f)
		})
	}
	busy.Wait()
}

const (
	recoveredWithin = 12 * time.Minute      // after the last fault: a lease of a message lasts up to ten
	normalSpeed     = 50 * time.Millisecond // of an answer on a network that takes up to 2.2 ms for each way
)

// recover waits until the outbox is empty and everything works again.
func (w *world) recover() {
	healed := time.Now()
	for n := 0; ; n++ {
		wrong := w.wrong(n)
		if wrong == "" && w.kept() == 0 {
			break
		}
		if time.Since(healed) > recoveredWithin {
			w.problem("NOT RECOVERED: %v after all was well again %s", recoveredWithin, wrong)
			break
		}
		<-time.After(5 * time.Second)
	}
	w.logf("all is as ever")
	<-time.After(2 * time.Second) // the last deletions may have freed a message before its drain was answered
}

// wrong says what does not work yet, at the nth look; "" if everything does.
func (w *world) wrong(n int) string {
	if kept := w.kept(); kept > 0 {
		return fmt.Sprintf("%d messages are left in the outbox", kept)
	}
	for i, h := range w.fronts() {
		c := Call{Form: FormPlain, Tenant: "t1", User: "auth0|last", Created: 900, EventID: fmt.Sprintf("last%d-%d", n, i)}
		if a := w.send(h, c, 100*(1000+10*n+i)); a.status != http.StatusOK || a.took > normalSpeed {
			return fmt.Sprintf("%s answered %d after %v", h.name, a.status, a.took)
		}
		if a := h.health(w.life); a.status != http.StatusOK {
			return fmt.Sprintf("%s is not healthy: %d", h.name, a.status)
		}
	}
	return ""
}

// kept returns the number of messages in the outbox, including hidden ones.
func (w *world) kept() int {
	return int(*must(w.messages.GetProperties(w.life, nil)).ApproximateMessagesCount)
}

// text returns the log. Simultaneous events are in no particular order.
func (w *world) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortStableFunc(w.log, func(a, b line) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.text, b.text)) })
	var b strings.Builder
	for _, l := range w.log {
		fmt.Fprintf(&b, "%v %s\n", l.at, l.text)
	}
	return b.String()
}
