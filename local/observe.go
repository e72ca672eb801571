package main

import (
	"slices"
	"strings"

	"userrelay/local/funchost"
	"userrelay/local/portal"
)

// observe passes a request to the page. It omits the values of headers that hold secrets.
func (s *stack) observe(x funchost.Exchange) {
	seen := portal.Exchange{
		TookMs: float64(x.Took.Microseconds()) / 1e3, Method: x.Request.Method, Path: x.Request.URL.Path, Query: x.Query, HasKey: x.HasKey,
		Body: string(x.Body), BodyBytes: max(x.BodyBytes, x.Request.ContentLength), Status: x.Status,
		Answer: string(x.Answer), AnswerType: x.AnswerHeader.Get("Content-Type"), Replayed: x.AnswerHeader.Get("Idempotency-Replayed") == "true",
		Operation: x.Operation, Invocation: x.Invocation,
	}
	for name, values := range x.Request.Header {
		value := strings.Join(values, ", ")
		switch name {
		case "X-Functions-Key", "Authorization", "Cookie":
			value = "(not shown)"
		}
		seen.Headers = append(seen.Headers, portal.Header{Key: name, Value: &value})
	}
	slices.SortFunc(seen.Headers, func(a, b portal.Header) int { return strings.Compare(a.Key, b.Key) })
	s.portal.Saw(seen, x.Start)
}
