package auth0

import (
	"testing"

	"userrelay/test/wait"
)

// TestLocalOutbox stops the broker while a user registers: the first answer tells the Action that the user is in the
// outbox, and the user is in the topic after the broker is back.
func TestLocalOutbox(t *testing.T) {
	t.Parallel()
	actionNode(t)
	s := startStack(t)
	s.broker(t, false)
	e := event(t, "database-signup")
	_, id := userOf(t, e)
	logged, threw := runAction(t, e, s.secrets(), 1)
	if threw != "" {
		t.Fatal(threw)
	}
	match := matches(t, logged, `user sent: HTTP 202 \(in the outbox\), attempts=1, id=(\S+), trace=\S+`)

	s.broker(t, true)
	var records []record
	wait.For(t, "the user is in the topic", func() bool {
		records = s.of(t, id)
		return len(records) > 0
	})
	for _, r := range records {
		if r.headers["ce_id"] != match[1] || r.value != jsonOf(t, map[string]any{"userId": id}) {
			t.Errorf("got ce_id %s and value %s, want %s and the user", r.headers["ce_id"], r.value, match[1])
		}
	}
}
