package storagequeue

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"userrelay/local/storagequeue/internal/store"
)

const (
	maxText = 64 << 10 // bytes of a message's text in UTF-8, as the client encoded it (base64, mostly)
	maxBody = 1 << 20  // bytes of a request: any text may come as character references, 9 bytes for one
)

// messagesBody is the answer to Put, Get and Peek Messages.
type messagesBody struct {
	XMLName  xml.Name `xml:"QueueMessagesList"`
	Messages []messageBody
}

type messageBody struct {
	XMLName         xml.Name `xml:"QueueMessage"`
	MessageID       string   `xml:"MessageId"`
	InsertionTime   string
	ExpirationTime  string
	PopReceipt      string  `xml:",omitempty"`
	TimeNextVisible string  `xml:",omitempty"`
	DequeueCount    *int    `xml:",omitempty"`
	MessageText     *string `xml:",omitempty"`
}

func putBody(m store.Message) messageBody {
	return messageBody{
		MessageID: m.ID, InsertionTime: date(m.Inserted), ExpirationTime: date(m.Expires),
		PopReceipt: m.Receipt, TimeNextVisible: date(m.Visible),
	}
}

func getBody(m store.Message) messageBody {
	b := putBody(m)
	b.DequeueCount, b.MessageText = &m.Dequeued, &m.Text
	return b
}

func peekBody(m store.Message) messageBody {
	b := getBody(m)
	b.PopReceipt, b.TimeNextVisible = "", ""
	return b
}

func bodies(messages []store.Message, body func(store.Message) messageBody) messagesBody {
	var b messagesBody
	for _, m := range messages {
		b.Messages = append(b.Messages, body(m))
	}
	return b
}

// date writes a time in the service's format, in whole seconds.
func date(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// queuesBody is the answer to List Queues.
type queuesBody struct {
	XMLName         xml.Name    `xml:"EnumerationResults"`
	ServiceEndpoint string      `xml:",attr"`
	Prefix          string      `xml:",omitempty"`
	Marker          string      `xml:",omitempty"`
	MaxResults      int         `xml:",omitempty"`
	Queues          []queueBody `xml:"Queues>Queue"`
	NextMarker      string
}

type queueBody struct {
	Name     string
	Metadata metadataBody `xml:",omitempty"`
}

// metadataBody has an element for each value, named after it. Names have been checked to be valid element names.
type metadataBody map[string]string

func (m metadataBody) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if err := e.EncodeElement(m[name], xml.StartElement{Name: xml.Name{Local: name}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

var errShape = errors.New("not the elements of a message")

// messageParser parses the body of Put and Update Message.
type messageParser struct {
	path []string // the elements that are open
	text *string
	part strings.Builder // of the text
	done bool
}

// parseMessage returns the text in the body of Put and Update Message:
//
//	<QueueMessage><MessageText>text</MessageText></QueueMessage>
//
// nil where there is a QueueMessage without a text. Nothing else is taken, no second text either.
func parseMessage(body []byte) (text *string, err error) {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	var p messageParser
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && p.done {
			return p.text, nil
		}
		if err != nil {
			return nil, err
		}
		if !p.take(token) {
			return nil, errShape
		}
	}
}

// take processes the next part of the document, if it is permitted here.
func (p *messageParser) take(token xml.Token) bool {
	switch t := token.(type) {
	case xml.StartElement:
		p.path = append(p.path, t.Name.Local)
		where := strings.Join(p.path, "/")
		return !p.done && (where == "QueueMessage" || where == "QueueMessage/MessageText" && p.text == nil)
	case xml.CharData:
		if len(p.path) < 2 {
			return len(bytes.TrimSpace(t)) == 0
		}
		p.part.Write(t)
	case xml.EndElement:
		if len(p.path) == 2 {
			text := p.part.String()
			p.text = &text
		}
		p.path = p.path[:len(p.path)-1]
		p.done = len(p.path) == 0
	case xml.Directive:
		return false // a document type, with entities of its own
	}
	return true
}

// message reads the text in a request's body. An empty body has none.
func message(r *http.Request) (text *string, err error) {
	if r.ContentLength < 0 {
		return nil, errLengthMissing
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, errXML // the client disconnected in the middle
	}
	if len(body) > maxBody {
		return nil, errBodyTooLong
	}
	if len(body) == 0 {
		return nil, nil //nolint:nilnil // no text is a valid body
	}
	text, err = parseMessage(body)
	if err != nil {
		return nil, errXML
	}
	if text != nil && len(*text) > maxText {
		return nil, errBodyTooLong
	}
	return text, nil
}
