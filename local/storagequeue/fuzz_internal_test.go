package storagequeue

import (
	"bytes"
	"encoding/xml"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"userrelay/local/storagequeue/internal/store"
)

// These tests call the decoders directly, because a fuzzer cannot sign requests.

func FuzzMessage(f *testing.F) {
	for _, body := range []string{
		"<QueueMessage><MessageText>x</MessageText></QueueMessage>", "<QueueMessage/>", "\ufeff<QueueMessage></QueueMessage>",
		"<QueueMessage><MessageText>&lt;&#x1F986;<![CDATA[&]]></MessageText></QueueMessage>", "<!DOCTYPE x><QueueMessage/>",
		`<?xml version="1.0" encoding="utf-8"?><QueueMessage> <MessageText/> </QueueMessage><!-- -->`, "<QueueMessage><a/></QueueMessage>", "x", "",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		text, err := parseMessage(body)
		if err != nil || text == nil {
			return
		}
		if !utf8.ValidString(*text) {
			t.Fatalf("%q is not UTF-8", *text)
		}
		var again bytes.Buffer
		again.WriteString("<QueueMessage><MessageText>")
		if err := xml.EscapeText(&again, []byte(*text)); err != nil {
			t.Fatal(err)
		}
		again.WriteString("</MessageText></QueueMessage>")
		if second, err := parseMessage(again.Bytes()); err != nil || second == nil || *second != *text {
			t.Fatalf("%q does not come back: %v", *text, err)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, raw := range []string{
		"numofmessages=32&visibilitytimeout=1", "peekonly=TRUE&numofmessages=0", "messagettl=-1&visibilitytimeout=604800", "messagettl=9999999999",
		"popreceipt=cmVjZWlwdA%3D%3D&visibilitytimeout=0", "comp=metadata", "comp=list&prefix=a&marker=b&maxresults=1&include=metadata",
		"COMP=List&comp=acl", "a;b", "%zz", "=", "visibilitytimeout=+1", "numofmessages=0x10", "messagettl=1&messagettl=2",
	} {
		f.Add(raw, "x", uint8(0))
		f.Add(raw, "x", uint8(9))
	}
	f.Fuzz(func(t *testing.T, raw, id string, pick uint8) {
		queues, err := store.Open("")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := queues.Create("abc", nil); err != nil {
			t.Fatal(err)
		}
		q, err := parseQuery(raw)
		if err != nil {
			return
		}
		method := []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodHead}[pick%5]
		path := [][]string{nil, {"abc"}, {"abc", "messages"}, {"abc", "messages", id}}[pick/5%4]
		r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader("<QueueMessage><MessageText>x</MessageText></QueueMessage>"))
		h := &handler{store: queues}
		a, err := h.route(&request{Request: r, query: q}, path)
		var e *serviceError
		switch {
		case err == nil && (a.status < 200 || a.status > 299):
			t.Errorf("success is %d", a.status)
		case err == nil && a.body != nil:
			if _, err := xml.Marshal(a.body); err != nil {
				t.Errorf("the body is not XML: %v", err)
			}
		case errors.As(err, &e):
			if _, err := xml.Marshal(e.body()); err != nil {
				t.Errorf("the error is not XML: %v", err)
			}
		case err != nil && asServiceError(err) == errInternal:
			t.Errorf("an error of ours: %v", err)
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	for _, value := range []string{
		"SharedKey devstoreaccount1:c2VjcmV0", "SharedKey :", "SharedKey", "Bearer a.b.c", "Bearer eyJhbGciOiJub25lIn0.e30.", "bearer ..", "Basic x", "",
	} {
		f.Add(value, "Tue, 24 Nov 2026 00:00:00 GMT", "comp=metadata")
	}
	f.Fuzz(func(t *testing.T, value, date, raw string) {
		q, err := parseQuery(raw)
		if err != nil {
			return
		}
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/" + account + "/abc", RawQuery: raw}, Header: http.Header{
			"Authorization": {value}, "X-Ms-Date": {date, http.TimeFormat}, "Date": {time.Now().UTC().Format(http.TimeFormat)},
		}}
		for _, secure := range []bool{false, true} {
			err := (&handler{secure: secure}).authenticate(r, q)
			token := strings.EqualFold(value[:min(len(value), 7)], "bearer ")
			if err == nil && (!secure || !token) {
				t.Errorf("%q was taken", value)
			}
			var e *serviceError
			if err != nil && (!errors.As(err, &e) || e.status != http.StatusForbidden && e.status != http.StatusBadRequest) {
				t.Errorf("%q: %v", value, err)
			}
		}
	})
}
