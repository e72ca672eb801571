package faultproxy_test

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"userrelay/test/faultproxy"
	"userrelay/test/wait"
)

func TestCountsRequestsByKind(t *testing.T) {
	tg := newTarget(t, "world")
	p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
	a, b := dial(t, p), dial(t, p)
	a.ask(faultproxy.Metadata, 1)
	a.ask(faultproxy.Produce, 2)
	b.ask(faultproxy.Produce, 3)

	st := p.Stats()
	if st.Connections != 2 || st.Open != 2 || st.Cuts() != 0 {
		t.Errorf("got %+v, want 2 connections, 2 of them open, no cuts", st)
	}
	if st.Requests[faultproxy.Metadata] != 1 || st.Requests[faultproxy.Produce] != 2 {
		t.Errorf("requests by kind: got %v, want 1 of 3 and 2 of 0", st.Requests)
	}
	if err := errors.Join(a.conn.Close(), b.conn.Close()); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "no connection open", func() bool { return p.Stats().Open == 0 })
}

func TestCuts(t *testing.T) {
	tests := []struct {
		name  string
		do    faultproxy.Action
		heard bool // the target certainly heard the request
		never bool // the target certainly never heard it
	}{
		{name: "before forwarding", do: faultproxy.CutBefore, never: true},
		{name: "at once after forwarding", do: faultproxy.CutAfter, heard: true},
		{name: "with the answer on its way", do: faultproxy.CutOnAnswer, heard: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tg := newTarget(t, "world")
			p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
			set(t, p, faultproxy.Faults{Rules: []faultproxy.Rule{
				{Key: faultproxy.Produce, Nth: 2, Do: []faultproxy.Action{tt.do}},
			}})
			c := dial(t, p)
			c.ask(faultproxy.Produce, 1)
			c.ask(faultproxy.Metadata, 2) // of another kind, not counted by the rule
			c.send(faultproxy.Produce, 3)
			c.wantEnd()

			if tt.heard {
				wait.For(t, "the target hears request 3", func() bool { return slices.Contains(tg.requests(), 3) })
			}
			dial(t, p).ask(faultproxy.Produce, 4) // the rule is used up
			if tt.never && slices.Contains(tg.requests(), 3) {
				t.Error("the target heard a request that was to be cut before")
			}
			if st := p.Stats(); st.Actions[tt.do] != 1 || st.Cuts() != 1 {
				t.Errorf("got actions %v, want one %v", st.Actions, tt.do)
			}
		})
	}
}

func TestCutOnAnswerDeliversEarlierAnswers(t *testing.T) {
	tg := newTarget(t, "world")
	p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
	set(t, p, faultproxy.Faults{Rules: []faultproxy.Rule{
		{Nth: 3, Do: []faultproxy.Action{faultproxy.CutOnAnswer}},
	}})
	c := dial(t, p)
	for id := range int32(4) {
		c.send(faultproxy.Produce, id)
	}
	for want := range int32(2) {
		if got, _, err := c.receive(); err != nil || got != want {
			t.Fatalf("got the answer to %d and error %v, want that to %d", got, err, want)
		}
	}
	c.wantEnd()
}

// TestShareIsRepeatable cuts a fifth of the requests, in two ways, and repeats that with the same seed and with
// another one.
func TestShareIsRepeatable(t *testing.T) {
	const requests = 300
	run := func(seed uint64) (cut []int32, st faultproxy.Stats) {
		tg := newTarget(t, "")
		p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr, Seed: seed})
		set(t, p, faultproxy.Faults{Rules: []faultproxy.Rule{
			{Share: 0.2, Do: []faultproxy.Action{faultproxy.CutAfter, faultproxy.CutOnAnswer}},
		}})
		c := dial(t, p)
		for id := range int32(requests) {
			c.send(faultproxy.Produce, id)
			if _, _, err := c.receive(); err != nil {
				cut = append(cut, id)
				c = dial(t, p)
			}
		}
		return cut, p.Stats()
	}
	first, st := run(1)
	if n := len(first); n < requests/10 || n > requests*3/10 || n != st.Cuts() {
		t.Errorf("%d of %d requests were cut, %d counted, want about a fifth", n, requests, st.Cuts())
	}
	after, onAnswer := st.Actions[faultproxy.CutAfter], st.Actions[faultproxy.CutOnAnswer]
	if min(after, onAnswer)*3 < max(after, onAnswer) {
		t.Errorf("%d at once and %d with the answer on its way, want about as many", after, onAnswer)
	}
	if again, _ := run(1); !slices.Equal(first, again) {
		t.Errorf("same seed: cut %v, then %v", first, again)
	}
	if other, _ := run(2); slices.Equal(first, other) {
		t.Error("another seed cut the same requests")
	}
}

func TestSilenceAtTheLogin(t *testing.T) {
	tg := newTarget(t, "world")
	p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
	set(t, p, faultproxy.Faults{Rules: []faultproxy.Rule{
		{Key: faultproxy.SaslHandshake, Share: 1, Do: []faultproxy.Action{faultproxy.Silence}},
	}})
	c, other := dial(t, p), dial(t, p)
	c.ask(faultproxy.Metadata, 1)
	c.send(faultproxy.SaslHandshake, 2)
	c.send(faultproxy.Metadata, 3)
	wait.For(t, "the connection falls silent", func() bool { return p.Stats().Actions[faultproxy.Silence] == 1 })
	set(t, p, faultproxy.Faults{}) // does not wake it
	other.ask(faultproxy.Metadata, 4)

	if got := tg.requests(); !slices.Equal(got, []int32{1, 4}) {
		t.Errorf("the target heard %v, want 1 and 4", got)
	}
	if st := p.Stats(); st.Open != 2 {
		t.Errorf("%d connections are open, want 2", st.Open)
	}
	if err := c.conn.Close(); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "the client's end ends it", func() bool { return p.Stats().Open == 1 })
}

func TestResets(t *testing.T) {
	for _, reset := range []bool{false, true} {
		name := map[bool]string{false: "FIN", true: "RST"}[reset]
		t.Run(name, func(t *testing.T) {
			tg := newTarget(t, "world")
			p := faultproxy.ForTest(t, faultproxy.Options{Target: tg.addr})
			set(t, p, faultproxy.Faults{Reset: reset, Rules: []faultproxy.Rule{
				{Nth: 1, Do: []faultproxy.Action{faultproxy.CutOnAnswer}},
			}})
			c := dial(t, p)
			c.send(faultproxy.Produce, 1)
			if _, _, err := c.receive(); errors.Is(err, syscall.ECONNRESET) != reset {
				t.Errorf("got error %v", err)
			}
		})
	}
}

func TestRefusesRulesWithoutSense(t *testing.T) {
	cut := []faultproxy.Action{faultproxy.CutBefore}
	tests := []struct {
		name   string
		faults faultproxy.Faults
	}{
		{name: "nothing to do", faults: faultproxy.Faults{Rules: []faultproxy.Rule{{Nth: 1}}}},
		{name: "nothing picked", faults: faultproxy.Faults{Rules: []faultproxy.Rule{{Do: cut}}}},
		{name: "more than all", faults: faultproxy.Faults{Rules: []faultproxy.Rule{{Share: 2, Do: cut}}}},
		{name: "unknown action", faults: faultproxy.Faults{Rules: []faultproxy.Rule{{Nth: 1, Do: []faultproxy.Action{99}}}}},
		{name: "negative time", faults: faultproxy.Faults{Delay: -1}},
	}
	p := faultproxy.ForTest(t, faultproxy.Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := p.SetFaults(tt.faults); err == nil {
				t.Error("no error")
			}
		})
	}
}
