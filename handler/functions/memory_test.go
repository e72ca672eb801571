package functions_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"userrelay/handler/functions"
	"userrelay/handler/registration"
	"userrelay/handler/relay"
)

// 64 concurrent bodies of up to 1 GiB in total take little memory. The test is not parallel, because the memory of
// other tests would count.
func TestMemoryOfLargeBodies(t *testing.T) { //nolint:paralleltest // see above
	const bodies = 64
	for name, c := range map[string]struct {
		decoder registration.Decoder
		size    int    // bytes, of each body
		most    uint64 // bytes, held of all
	}{
		"profiles that are not wanted":        {registration.Decoder{}, functions.MaxBody, 8 << 20},
		"profiles that are wanted, too large": {registration.Decoder{Profile: true}, 2 << 20, 96 << 20}, // 64 MiB, and what they were copied from
	} {
		t.Run(name, func(t *testing.T) {
			var omitted int
			var mu sync.Mutex
			p := &parts{t: t, deliver: func(_ context.Context, e registration.Event) (relay.Outcome, error) {
				mu.Lock()
				defer mu.Unlock()
				if e.ProfileOmitted && e.Profile == nil {
					omitted++
				}
				return outcome(e), nil
			}}
			h := functions.New(functions.Config{Decoder: c.decoder, Deliver: p, Drain: p, Kafka: p, Observer: p})
			chunk := strings.Repeat("p", 64<<10) // one for all
			var arrived, group sync.WaitGroup
			gate := make(chan struct{})
			answers := make(chan answer, bodies)
			before := heap()
			for range bodies {
				arrived.Add(1)
				once := sync.OnceFunc(arrived.Done)
				parts := []io.Reader{strings.NewReader(`{"user":{"a":"`)}
				for range c.size/len(chunk) - 1 {
					parts = append(parts, strings.NewReader(chunk))
				}
				parts = append(parts, readFunc(func([]byte) (int, error) {
					once()
					<-gate
					return 0, io.EOF
				}), strings.NewReader(`"},"userId":"auth0|1","eventId":"e-1"}`))
				r := upload(t, io.MultiReader(parts...), -1)
				group.Go(func() {
					defer once() // where it is refused
					answers <- serve(t, h, r)
				})
			}
			arrived.Wait()
			held := heap() - before
			close(gate)
			group.Wait()
			stored, busy := 0, 0
			for range bodies {
				switch a := <-answers; a.status {
				case http.StatusOK:
					stored++
				case http.StatusServiceUnavailable:
					busy++
				default:
					t.Errorf("answer %d %s", a.status, a.body)
				}
			}
			t.Logf("%d stored, %d busy, %d KiB held", stored, busy, held>>10)
			if held > c.most {
				t.Errorf("%d bytes are held, want %d at most", held, c.most)
			}
			if want := map[bool]int{true: stored}[c.decoder.Profile]; omitted != want || stored < bodies/2 || !c.decoder.Profile && busy > 0 {
				t.Errorf("%d of %d stored, %d busy, %d without their profile", stored, bodies, busy, omitted)
			}
		})
	}
}

// heap returns the bytes in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
