package storagequeue_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/google/go-cmp/cmp"

	"userrelay/local/storagequeue"
)

// These tests compare only the stand-in with Microsoft's REST reference, because azqueue cannot send such requests or
// Azurite differs from the reference: it answers wrong parameters and bodies with a 400 without a code, or a 500.

// sent is a request that azqueue signs but does not offer.
type sent struct {
	method, path, body string
	headers            []string // lines; "Name:" removes one
	chunked            bool
}

// Do replaces azqueue's request by the wanted one before it is signed.
func (s sent) Do(req *policy.Request) (*http.Response, error) {
	r := req.Raw()
	u, err := r.URL.Parse(s.path)
	if err != nil {
		return nil, err
	}
	r.Method, r.URL, r.Host = s.method, u, u.Host
	if s.body != "" {
		if err := req.SetBody(streaming.NopCloser(strings.NewReader(s.body)), "application/xml"); err != nil {
			return nil, err
		}
	}
	if s.chunked {
		r.ContentLength = -1
		r.Header.Del("Content-Length")
	}
	for _, line := range s.headers {
		name, value, _ := strings.Cut(line, ":")
		maps.DeleteFunc(r.Header, func(n string, _ []string) bool { return strings.EqualFold(n, name) })
		if value = strings.TrimSpace(value); value != "" {
			r.Header[strings.ToLower(name)] = []string{value} // azqueue looks for its own names in lower case
		}
	}
	return req.Next()
}

// answer is a completely read response.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) outcome() string {
	return strings.TrimSpace(fmt.Sprint(a.status, " ", a.header.Get("X-Ms-Error-Code")))
}

func read(t *testing.T, res *http.Response) answer {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// send sends a signed request. Its path begins after the account.
func (s target) send(t *testing.T, request sent) answer {
	t.Helper()
	request.path = s.url + request.path
	o := s.options()
	o.PerCallPolicies = []policy.Policy{request}
	credential, err := azqueue.NewSharedKeyCredential(account, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := azqueue.NewQueueClientWithSharedKeyCredential(s.url+"/abc", credential, o)
	if err != nil {
		t.Fatal(err)
	}
	var res *http.Response
	if _, err = c.GetProperties(capture(t, &res), nil); res == nil {
		t.Fatalf("%s %s: %v", request.method, request.path, err)
	}
	return read(t, res)
}

// do sends a request unchanged.
func do(t *testing.T, c *http.Client, req *http.Request) answer {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, res)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	s := start(t, storagequeue.Config{})
	if _, err := s.service(t).CreateQueue(t.Context(), "abc", nil); err != nil {
		t.Fatal(err)
	}
	text := "<QueueMessage><MessageText>x</MessageText></QueueMessage>"
	post := func(query, body string) sent {
		return sent{method: http.MethodPost, path: "/abc/messages" + query, body: body}
	}
	for _, tt := range []struct {
		name, want string
		request    sent
	}{
		{"no operation", "400 UnsupportedQueryParameter", sent{method: http.MethodGet, path: ""}},
		{"service properties", "400 UnsupportedQueryParameter", sent{method: http.MethodGet, path: "?restype=service&comp=properties"}},
		{"access policy", "400 UnsupportedQueryParameter", sent{method: http.MethodGet, path: "/abc?comp=acl"}},
		{"list with a slash", "200", sent{method: http.MethodGet, path: "/?comp=list"}},
		{"list by PUT", "405 UnsupportedHttpVerb", sent{method: http.MethodPut, path: "?comp=list"}},
		{"list a word of queues", "400 InvalidQueryParameterValue", sent{method: http.MethodGet, path: "?comp=list&maxresults=many"}},
		{"list no queues", "400 OutOfRangeQueryParameterValue", sent{method: http.MethodGet, path: "?comp=list&maxresults=0"}},
		{"list very many", "200", sent{method: http.MethodGet, path: "?comp=list&maxresults=1000000"}},
		{"read a queue", "405 UnsupportedHttpVerb", sent{method: http.MethodGet, path: "/abc"}},
		{"post metadata", "405 UnsupportedHttpVerb", sent{method: http.MethodPost, path: "/abc?comp=metadata"}},
		{"put messages", "405 UnsupportedHttpVerb", sent{method: http.MethodPut, path: "/abc/messages", body: text}},
		{"read a message", "405 UnsupportedHttpVerb", sent{method: http.MethodGet, path: "/abc/messages/x"}},
		{"no such thing", "400 InvalidUri", sent{method: http.MethodGet, path: "/abc/letters"}},
		{"too deep", "400 InvalidUri", sent{method: http.MethodGet, path: "/abc/messages/x/y"}},
		{"metadata", "200", sent{method: http.MethodGet, path: "/abc?comp=metadata"}},
		{"parameter in capitals", "200", sent{method: http.MethodGet, path: "/abc?COMP=metadata"}},
		{"head", "200", sent{method: http.MethodHead, path: "/abc?comp=metadata"}},
		{"head of nothing", "404 QueueNotFound", sent{method: http.MethodHead, path: "/nowhere?comp=metadata"}},
		{"messages with a slash", "200", sent{method: http.MethodGet, path: "/abc/messages/"}},

		{"version of no date", "400 InvalidHeaderValue", sent{method: http.MethodGet, path: "/abc/messages", headers: []string{"X-Ms-Version: newest"}}},
		{"no version", "400 MissingRequiredHeader", sent{method: http.MethodGet, path: "/abc/messages", headers: []string{"X-Ms-Version:"}}},

		{"get 0", "400 OutOfRangeQueryParameterValue", sent{method: http.MethodGet, path: "/abc/messages?numofmessages=0"}},
		{"get -1", "400 OutOfRangeQueryParameterValue", sent{method: http.MethodGet, path: "/abc/messages?numofmessages=-1"}},
		{"peek 0", "400 OutOfRangeQueryParameterValue", sent{method: http.MethodGet, path: "/abc/messages?peekonly=true&numofmessages=0"}},
		{"get half a message", "400 InvalidQueryParameterValue", sent{method: http.MethodGet, path: "/abc/messages?numofmessages=0.5"}},
		{"get an empty number", "400 InvalidQueryParameterValue", sent{method: http.MethodGet, path: "/abc/messages?numofmessages="}},
		{"get too large a number", "400 InvalidQueryParameterValue", sent{method: http.MethodGet, path: "/abc/messages?numofmessages=99999999999999999999"}},
		{"hide for a word", "400 InvalidQueryParameterValue", sent{method: http.MethodGet, path: "/abc/messages?visibilitytimeout=long"}},
		{"life -2", "400 InvalidQueryParameterValue", post("?messagettl=-2", text)},
		{"life of a word", "400 InvalidQueryParameterValue", post("?messagettl=for%20ever", text)},
		{"life too long for 32 bits", "400 OutOfRangeQueryParameterValue", post("?messagettl=2147483648", text)},
		{"delete without a receipt", "400 MissingRequiredQueryParameter", sent{method: http.MethodDelete, path: "/abc/messages/x"}},
		{"update without a receipt", "400 MissingRequiredQueryParameter", sent{method: http.MethodPut, path: "/abc/messages/x?visibilitytimeout=1"}},

		{"put", "201", post("", text)},
		{"byte order mark", "201", post("", "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n"+text+"\n")},
		{"comment and spaces", "201", post("", "<QueueMessage> <!-- hi -->\n<MessageText><![CDATA[<x>]]></MessageText> </QueueMessage>")},
		{"no body", "400 MissingRequiredXmlNode", post("", "")},
		{"no text", "400 MissingRequiredXmlNode", post("", "<QueueMessage></QueueMessage>")},
		{"not XML", "400 InvalidXmlDocument", post("", `{"MessageText":"x"}`)},
		{"half", "400 InvalidXmlDocument", post("", text[:len(text)-1])},
		{"twice", "400 InvalidXmlDocument", post("", text+text)},
		{"more after it", "400 InvalidXmlDocument", post("", text+"x")},
		{"two texts", "400 InvalidXmlDocument", post("", "<QueueMessage><MessageText>x</MessageText><MessageText>y</MessageText></QueueMessage>")},
		{"another root", "400 InvalidXmlDocument", post("", "<Message><MessageText>x</MessageText></Message>")},
		{"another element", "400 InvalidXmlDocument", post("", "<QueueMessage><Text>x</Text></QueueMessage>")},
		{"element in the text", "400 InvalidXmlDocument", post("", "<QueueMessage><MessageText><b>x</b></MessageText></QueueMessage>")},
		{"document type", "400 InvalidXmlDocument", post("", `<!DOCTYPE m [<!ENTITY x "y">]>`+text)},
		{"unknown entity", "400 InvalidXmlDocument", post("", "<QueueMessage><MessageText>&x;</MessageText></QueueMessage>")},
		{"a character that XML has not", "400 InvalidXmlDocument", post("", "<QueueMessage><MessageText>&#0;</MessageText></QueueMessage>")},
		{"not UTF-8", "400 InvalidXmlDocument", post("", "<QueueMessage><MessageText>\xff</MessageText></QueueMessage>")},
		{"another encoding", "400 InvalidXmlDocument", post("", `<?xml version="1.0" encoding="utf-16"?>`+text)},
		{"2 MiB", "413 RequestBodyTooLarge", post("", strings.Repeat(" ", 2<<20)+text)},
		{"no length", "411 MissingContentLengthHeader", sent{method: http.MethodPost, path: "/abc/messages", body: text, chunked: true}},

		{"metadata with a digit first", "400 InvalidMetadata", sent{method: http.MethodPut, path: "/abc?comp=metadata", headers: []string{"X-Ms-Meta-1a: x"}}},
		{"metadata with a dash", "400 InvalidMetadata", sent{method: http.MethodPut, path: "/abc?comp=metadata", headers: []string{"X-Ms-Meta-a-b: x"}}},
		{"metadata without a name", "400 EmptyMetadataKey", sent{method: http.MethodPut, path: "/abc?comp=metadata", headers: []string{"X-Ms-Meta-: x"}}},
		{"9 KiB of metadata", "400 MetadataTooLarge", sent{method: http.MethodPut, path: "/abc?comp=metadata", headers: []string{"X-Ms-Meta-A: " + strings.Repeat("x", 9<<10)}}},
	} {
		res := s.send(t, tt.request)
		if got := res.outcome(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		_, code, failed := strings.Cut(tt.want, " ")
		if failed && tt.request.method != http.MethodHead && !strings.Contains(res.body, "<Error><Code>"+code+"</Code><Message>") {
			t.Errorf("%s: the body does not say %s: %s", tt.name, code, res.body)
		}
	}
}

// TestUnsigned has requests that are refused before the signature is checked.
func TestUnsigned(t *testing.T) {
	t.Parallel()
	s := start(t, storagequeue.Config{})
	host := strings.TrimSuffix(s.url, account)
	for address, outcome := range map[string]string{
		s.url + "/abc?comp=%zz":       "400 RequestUrlFailedToParse",
		s.url + "/abc?comp=a;b":       "400 RequestUrlFailedToParse",
		host + "?comp=list":           "404 ResourceNotFound",
		host + "another?comp=list":    "404 ResourceNotFound",
		host + account + "?comp=list": "401 NoAuthenticationInformation",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Ms-Version", "2025-07-05")
		res := do(t, s.client, req)
		if got := res.outcome(); got != outcome {
			t.Errorf("%s: got %s, want %s", address, got, outcome)
		}
	}
}

// TestAnswer compares some complete answers with the reference.
func TestAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, storagequeue.Config{})
	res := s.send(t, sent{method: http.MethodPut, path: "/abc", headers: []string{"X-Ms-Meta-Colour: red & blue", "X-Ms-Client-Request-Id: mine"}})
	if got := res.outcome(); got != "201" || res.header.Get("X-Ms-Client-Request-Id") != "mine" || res.header.Get("X-Ms-Version") != "2026-04-06" {
		t.Errorf("create: %s, %v", got, res.header)
	}
	body := s.send(t, sent{method: http.MethodGet, path: "?comp=list&include=metadata&prefix=a"}).body
	expected := `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="` + s.url + `"><Prefix>a</Prefix>` +
		`<Queues><Queue><Name>abc</Name><Metadata><colour>red &amp; blue</colour></Metadata></Queue></Queues><NextMarker></NextMarker></EnumerationResults>`
	if diff := cmp.Diff(expected, body); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	res = s.send(t, sent{method: http.MethodGet, path: "/abc/messages?numofmessages=33"})
	expected = `<?xml version="1.0" encoding="utf-8"?><Error><Code>OutOfRangeQueryParameterValue</Code>` +
		`<Message>One of the query parameters specified in the request URI is outside the permissible range.</Message>` +
		`<QueryParameterName>numofmessages</QueryParameterName><QueryParameterValue>33</QueryParameterValue>` +
		`<MinimumAllowed>1</MinimumAllowed><MaximumAllowed>32</MaximumAllowed></Error>`
	if diff := cmp.Diff(expected, res.body); diff != "" || res.header.Get("Content-Type") != "application/xml" {
		t.Errorf("error, %s (-want +got):\n%s", res.header.Get("Content-Type"), diff)
	}
	body = s.send(t, sent{method: http.MethodGet, path: "/abc/messages"}).body
	if diff := cmp.Diff(`<?xml version="1.0" encoding="utf-8"?><QueueMessagesList></QueueMessagesList>`, body); diff != "" {
		t.Errorf("no messages (-want +got):\n%s", diff)
	}
}

// TestUpdateAlone has an update that Azurite accepts against the reference: a message cannot be hidden beyond its
// expiry. It also has an update that azqueue cannot send: one without a text, with which the Functions host renews a
// message.
func TestUpdateAlone(t *testing.T) {
	t.Parallel()
	s := start(t, storagequeue.Config{})
	q := s.queue(t)
	name := q.URL()[len(s.url)+1:]
	m := put(t, q, "as it was", &azqueue.EnqueueMessageOptions{TimeToLive: new(int32(60))})
	_, err := q.UpdateMessage(t.Context(), *m.MessageID, *m.PopReceipt, "x", &azqueue.UpdateMessageOptions{VisibilityTimeout: new(int32(61))})
	want(t, "hide for longer than it lives", "400 InvalidQueryParameterValue", nil, err)
	receipt := strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(*m.PopReceipt)
	res := s.send(t, sent{method: http.MethodPut, path: "/" + name + "/messages/" + *m.MessageID + "?visibilitytimeout=0&popreceipt=" + receipt})
	if got := res.outcome(); got != "204" {
		t.Fatalf("update without a body: %s", got)
	}
	if got := getOne(t, q, 30); *got.MessageText != "as it was" {
		t.Errorf("got %q", *got.MessageText)
	}
}
