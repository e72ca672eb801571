package identity_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"go.uber.org/goleak"

	"userrelay/handler/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAuthenticationStrings(t *testing.T) {
	t.Parallel()
	const id, other, secret = "01234567-89ab-cdef-0123-456789ABCDEF", "00000000-0000-0000-0000-000000000000", "xyzzy-1234"
	for text, want := range map[string]azidentity.ManagedIDKind{
		"Authorization=AAD":                                       nil,
		"Authorization=AAD;ClientId=" + id:                        azidentity.ClientID(id),
		"ClientId=" + id + ";authoRIZATION=aad":                   azidentity.ClientID(id),
		" Authorization = AAD ;\n CLIENTID = " + id + " ":         azidentity.ClientID(id),
		";;Authorization=AAD;; ;what;ClientId=" + id + ";":        azidentity.ClientID(id),
		"Authorization=AAD;=what;Tenant=x=y;Authorization=AAD":    nil,
		"Authorization=AAD;ClientId=" + other + ";ClientId=" + id: azidentity.ClientID(id),
	} {
		if got, err := identity.ParseAuthentication(text); err != nil || got != (identity.Identity{Kind: identity.Managed, Managed: want}) {
			t.Errorf("%s: %+v, %v, want %v", text, got, err, want)
		}
	}
	const (
		missing = "must have Authorization=AAD"
		kind    = "must have Authorization=AAD; no other kind is supported"
		noGUID  = "must have a ClientId that is a GUID, or none"
	)
	for text, want := range map[string]string{
		"": missing, ";;": missing, "AAD": missing, "Auth123=AAD": missing, "ClientId=" + id: missing,
		"Authorization=" + secret: kind, "Authorization=": kind, "Authorization=AAD1": kind,
		"Authorization=AAD;Authorization=" + secret: kind,
		"Authorization=AAD;ClientId=" + secret:      noGUID, "Authorization=AAD;ClientId=": noGUID,
		"Authorization=AAD;ClientId={" + id + "}": noGUID,
	} {
		if got, err := identity.ParseAuthentication(text); err == nil || err.Error() != want || got != (identity.Identity{}) {
			t.Errorf("%s: %+v, %v, want %s", text, got, err, want)
		}
	}
}

func FuzzParseAuthentication(f *testing.F) {
	f.Add("Authorization=AAD;ClientId=01234567-89ab-cdef-0123-456789abcdef")
	f.Add(";authorization = aad;;x")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := identity.ParseAuthentication(text)
		if err != nil {
			if a != (identity.Identity{}) || len(err.Error()) > 100 {
				t.Errorf("%+v, %v", a, err)
			}
			return
		}
		if !strings.Contains(strings.ToLower(text), "aad") || a.Managed != nil && (len(a.Managed.String()) != 36 || !strings.Contains(text, a.Managed.String())) {
			t.Errorf("%q: %+v", text, a)
		}
	})
}

// service is an identity service whose tokens are numbers.
type service struct {
	takes, lives time.Duration
	away         atomic.Bool
	asked        atomic.Int64
}

func (s *service) token(ctx context.Context) (string, time.Time, error) {
	n := s.asked.Add(1)
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return "", time.Time{}, ctx.Err()
	}
	if s.away.Load() {
		return "", time.Time{}, errors.New("the service is away")
	}
	return strconv.FormatInt(n, 10), time.Now().Add(s.lives), nil
}

func TestGet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{takes: time.Second, lives: time.Hour}
		c := identity.NewTokens(s.token)
		if _, _, ok := c.Current(); ok {
			t.Error("one without a token has a token")
		}
		get := func(want string) {
			if got, err := c.Get(t.Context()); got != want || err != nil {
				t.Errorf("token %q, error %v, want %q", got, err, want)
			}
		}
		var all sync.WaitGroup
		for range 50 { // at once, and they ask once
			all.Go(func() { get("1") })
		}
		all.Wait()
		<-time.After(59*time.Minute - time.Second)
		get("1")
		<-time.After(2 * time.Second) // less than a minute before its end
		get("2")
	})
}

// A caller waits for a token no longer than its own time limit, whichever caller started the request.
func TestGetInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := identity.NewTokens((&service{takes: time.Hour}).token)
		start := time.Now()
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				limit := time.Duration(i+1) * time.Second
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				if _, err := c.Get(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != limit {
					t.Errorf("error %v after %v, want it after %v", err, time.Since(start), limit)
				}
			})
		}
		all.Wait()
		if _, err := c.Get(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a limit: %v", err)
		}
	})
}

// A new token is available before the old one expires, and a short outage of the service has no effect.
func TestRenew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{takes: time.Second, lives: time.Hour}
		c := identity.NewTokens(s.token)
		go c.Renew(t.Context())
		<-time.After(2 * time.Second)
		s.away.Store(true)
		for range 58 {
			if got, _, ok := c.Current(); got != "1" || !ok {
				t.Fatalf("token %q, good %t", got, ok)
			}
			<-time.After(time.Minute)
		}
		s.away.Store(false)
		<-time.After(15 * time.Second)
		if got, expires, ok := c.Current(); got == "1" || !ok || time.Until(expires) < 59*time.Minute {
			t.Errorf("after the outage: token %q until %v, good %t", got, expires, ok)
		}
		asked := s.asked.Load()
		<-time.After(29 * time.Minute)
		if now := s.asked.Load(); now != asked {
			t.Errorf("asked %d times in the first half of a token's life", now-asked)
		}
		<-time.After(2 * time.Minute)
		if now := s.asked.Load(); now != asked+1 {
			t.Errorf("asked %d times after it", now-asked)
		}
	})
}

// After a machine has slept, the wall clock decides: no caller gets an expired token, and a new one is fetched
// although the monotonic clock stood still.
func TestAfterSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{takes: time.Second, lives: time.Hour}
		var slept atomic.Int64
		c := identity.NewTokensAt(s.token, func() time.Time { return time.Now().Add(time.Duration(slept.Load())) })
		go c.Renew(t.Context())
		<-time.After(5 * time.Second)
		slept.Store(int64(3 * time.Hour))
		if got, _, ok := c.Current(); ok {
			t.Errorf("the token %q of three hours ago is given out", got)
		}
		<-time.After(12 * time.Second)
		// The service's clock has not jumped, so its new token has already expired by the other clock; it was requested.
		if got, expires, ok := c.Current(); got != "2" || ok {
			t.Errorf("token %q until %v, good %t", got, expires, ok)
		}
	})
}
