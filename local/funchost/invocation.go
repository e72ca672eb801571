package funchost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// errNoResult is an answer after which the host waits forever for the function's result.
var errNoResult = errors.New("the answer has no result")

// runForMessage runs a function for a message of its queue.
func (h *Host) runForMessage(ctx context.Context, fn queueFunction, m message, body []byte) error {
	op := newOperation(fn.name, "New queue message detected on '"+fn.queue+"'.", "")
	payload, err := newQueueInvocation(fn, m, body, op.start)
	if err != nil {
		return err
	}
	h.executing(op)
	h.say(op, fmt.Sprintf("Trigger Details: MessageId: %s, DequeueCount: %d, InsertedOn: %s", m.id, m.dequeueCount,
		m.inserted.UTC().Format("2006-01-02T15:04:05.000+00:00")))
	// It ends with the host's context, which the error then shows.
	err = h.limited(context.WithoutCancel(ctx), op, func(ctx context.Context) error { return h.invocation(ctx, op, payload) })
	h.executed(op, err)
	return err
}

// invocation passes a payload to the handler and checks the answer, as the host does for everything that it neither
// forwards nor proxies. If the answer has no result it does not return before ctx ends.
func (h *Host) invocation(ctx context.Context, op *operation, payload []byte) error {
	resp, err := h.post(ctx, op, payload)
	if err != nil {
		return fmt.Errorf("call the handler: %w", err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // it was read completely, or err says why not
	if err != nil {
		return fmt.Errorf("read the handler's answer: %w", err)
	}
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("the handler answered %d", resp.StatusCode)
	}
	logs, err := readResult(resp, body)
	if errors.Is(err, errNoResult) {
		h.console.fail("Function '%s' answered %d with no JSON object. The host now waits for the result until functionTimeout, and then kills the handler: answer at least {} (Id: '%s').",
			op.function, resp.StatusCode, op.id)
		<-ctx.Done()
		return context.Cause(ctx)
	}
	for _, line := range logs {
		h.say(op, fmt.Sprint(line))
	}
	return err
}

// post sends the payload without its length, as the real host does.
func (h *Host) post(ctx context.Context, op *operation, payload []byte) (*http.Response, error) {
	body := struct{ io.Reader }{bytes.NewReader(payload)} // hides its length
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.handlerAddr+"/"+op.function, body)
	if err != nil {
		return nil, fmt.Errorf("build the request: %w", err)
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(payload)), nil }
	req.Header = http.Header{
		"Content-Type":     {"application/json; charset=utf-8"},
		"User-Agent":       {userAgent},
		headerInvocationID: {op.id},
		headerHostVersion:  {hostVersion},
	}
	if h.insights {
		req.Header.Set("Traceparent", op.traceparent(h.rows.calls))
	}
	client := &http.Client{Transport: h.calls(op)}
	if !h.app.redirects {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	return resp, nil
}

// readResult reads {"Outputs", "Logs", "ReturnValue"} and returns the logs. The rest is for output bindings, which the
// stand-in does not have.
func readResult(resp *http.Response, body []byte) (logs []any, err error) {
	if len(body) == 0 && resp.ContentLength >= 0 {
		return nil, errNoResult // whatever its type
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != "application/json" && media != "text/json" {
		return nil, errors.New("invalid HttpResponseMessage: its Content-Type is not application/json")
	}
	// The real host reads one value and ignores the rest.
	value, err := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)).ReadValue()
	if errors.Is(err, io.EOF) || err == nil && value.Kind() == 'n' {
		return nil, errNoResult
	}
	if err != nil || value.Kind() != '{' {
		return nil, errors.New("invalid HttpResponseMessage: it is not a JSON object")
	}
	var result struct {
		Outputs     map[string]jsontext.Value
		Logs        []any
		ReturnValue jsontext.Value
	}
	err = json.Unmarshal(value, &result, json.MatchCaseInsensitiveNames(true), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, errors.New("invalid HttpResponseMessage: Outputs is not an object or Logs is not an array")
	}
	return result.Logs, nil
}
