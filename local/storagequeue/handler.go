package storagequeue

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"userrelay/local/storagequeue/internal/store"
)

// handler answers the service's requests.
type handler struct {
	store    *store.Store
	endpoint string
	secure   bool // over TLS
}

// request is an authenticated request.
type request struct {
	*http.Request
	query query
	queue string // "": the account
	id    string // of a message; "": the queue
}

// answer is a success.
type answer struct {
	status int
	header map[string]string
	body   any // written as XML; nil: none
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "userrelay-storagequeue")
	w.Header().Set("X-Ms-Request-Id", requestID())
	if v := r.Header.Get("X-Ms-Version"); isVersion(v) {
		w.Header().Set("X-Ms-Version", v)
	}
	if id := r.Header.Get("X-Ms-Client-Request-Id"); isVisible(id) {
		w.Header().Set("X-Ms-Client-Request-Id", id)
	}
	a, err := h.answer(r)
	if err != nil {
		e := asServiceError(err)
		w.Header().Set("X-Ms-Error-Code", e.code)
		if e.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize" resource_id="`+audience+`"`)
		}
		a = answer{status: e.status, body: e.body()}
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	write(w, a)
}

// write sends an answer. It ignores disconnected clients.
func write(w http.ResponseWriter, a answer) {
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	var body bytes.Buffer
	body.WriteString(`<?xml version="1.0" encoding="utf-8"?>`)
	if err := xml.NewEncoder(&body).Encode(a.body); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(a.status)
	_, _ = w.Write(body.Bytes())
}

// answer authenticates and answers a request.
func (h *handler) answer(r *http.Request) (answer, error) {
	if !isVersion(r.Header.Get("X-Ms-Version")) {
		if r.Header.Get("X-Ms-Version") == "" {
			return answer{}, errHeaderMissing
		}
		return answer{}, errHeaderValue
	}
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return answer{}, err
	}
	path := strings.Split(strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/"), "/")
	if path[0] != account {
		return answer{}, errAccount
	}
	if err := h.authenticate(r, q); err != nil {
		return answer{}, err
	}
	return h.route(&request{Request: r, query: q}, path[1:])
}

// route calls the operation for a method and a path without the account.
func (h *handler) route(r *request, path []string) (answer, error) {
	if len(path) == 0 {
		return h.account(r)
	}
	r.queue = path[0]
	if err := checkName(r.queue); err != nil {
		return answer{}, err
	}
	switch {
	case len(path) == 1:
		return h.queue(r)
	case path[1] == "messages" && len(path) == 2:
		return h.messages(r)
	case path[1] == "messages" && len(path) == 3 && path[2] != "":
		r.id = path[2]
		return h.message(r)
	default:
		return answer{}, errURI
	}
}

// parseQuery parses a query. The case of names does not matter.
func parseQuery(raw string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errURL
	}
	q := make(query, len(values))
	for name, v := range values {
		name = strings.ToLower(name)
		q[name] = append(q[name], v...)
	}
	return q, nil
}

// isVersion reports whether s looks like a version of the service, a date.
func isVersion(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// isVisible reports whether s is a client's request id that the service would return.
func isVisible(s string) bool {
	return s != "" && len(s) <= 1024 && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}

func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
