package portal_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"userrelay/local/portal"
)

// report is the answer of /send.
type report struct {
	Statuses map[string]int `json:"statuses"`
	First    struct {
		Body   string `json:"body"`
		Status int    `json:"status"`
		Answer string `json:"answer"`
	} `json:"first"`
}

func TestSend(t *testing.T) {
	t.Parallel()
	type got struct{ code, body, contentType, key string }
	var mu sync.Mutex
	var all []got
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		all = append(all, got{r.URL.Query().Get("code"), string(body), r.Header.Get("Content-Type"), r.Header.Get("Idempotency-Key")})
		mu.Unlock()
		if strings.Contains(string(body), "no such") {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, `{"offset":1}`)
	}))
	t.Cleanup(function.Close)
	r := start(t, portal.Config{})
	post := func(t *testing.T, body string, status int) (got report) {
		t.Helper()
		res := r.send(t, http.MethodPost, "/send", body)
		if res.StatusCode != status {
			t.Fatalf("%s: status %d, want %d: %s", body, res.StatusCode, status, res.body)
		}
		if status == http.StatusOK {
			if err := json.Unmarshal([]byte(res.body), &got); err != nil {
				t.Fatal(err)
			}
		}
		return got
	}
	post(t, `{"body":"{}","count":1}`, http.StatusNotFound) // no function yet
	r.SetFunction(portal.Function{URL: function.URL + "/f?code=k", Curl: "curl x"})

	one := post(t, `{"body":"{\"userId\":\"auth0|{{id}}\"}","contentType":"application/json","idempotencyKey":"key-{{id}}","count":1}`, http.StatusOK)
	if one.Statuses["200"] != 1 || one.First.Status != 200 || one.First.Answer != `{"offset":1}` || !regexp.MustCompile(`^\{"userId":"auth0\|[0-9a-f]{24}"\}$`).MatchString(one.First.Body) {
		t.Errorf("one: %+v", one)
	}
	if g := all[0]; g.code != "k" || g.body != one.First.Body || g.contentType != "application/json" || !regexp.MustCompile(`^key-[0-9a-f]{24}$`).MatchString(g.key) {
		t.Errorf("the function got %+v", g)
	}
	all = nil
	if many := post(t, `{"body":"{{id}} {{now}}","count":50}`, http.StatusOK); many.Statuses["200"] != 50 {
		t.Errorf("many: %+v", many)
	}
	bodies := map[string]bool{}
	for _, g := range all {
		bodies[g.body] = true
		if g.contentType != "" || g.key != "" {
			t.Fatalf("a header that nobody asked for: %+v", g)
		}
	}
	if len(bodies) != 50 {
		t.Errorf("%d different bodies, want 50", len(bodies))
	}
	all = nil
	if refused := post(t, `{"body":"no such","count":1,"withoutKey":true}`, http.StatusOK); refused.First.Status != 400 || all[0].code != "" {
		t.Errorf("without a key: %+v, %+v", refused, all)
	}
	for _, body := range []string{"", "{}", `{"body":"x","count":0}`, `{"body":"x","count":501}`, `{"body":"` + strings.Repeat("x", 65<<10) + `","count":1}`} {
		post(t, body, http.StatusBadRequest)
	}
	function.Close()
	post(t, `{"body":"x","count":1}`, http.StatusBadGateway)
}
