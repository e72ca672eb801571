package insights

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/microsoft/ApplicationInsights-Go/appinsights"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"
)

// maxItem is the size of an item that Application Insights takes, in bytes (service limits of Azure Monitor).
const maxItem = 64 << 10

// maxKey is the length of a key of properties and measurements, in bytes.
const maxKey = 150

// envelopes makes envelopes of the SDK's items, as they go over the wire. The SDK would make them in its client, which
// cannot be had without its channel.
type envelopes struct {
	key  string            // instrumentation key
	tags map[string]string // that every item has
}

func newEnvelopes(key, role, instance, version string) envelopes {
	tags := contracts.ContextTags{}
	tags.Cloud().SetRole(role)
	tags.Cloud().SetRoleInstance(instance)
	tags.Application().SetVer(version)
	tags.Internal().SetSdkVersion("userrelay:" + version)
	contracts.SanitizeTags(tags)
	return envelopes{key: key, tags: tags}
}

// nameKey is the key as it stands in the names of envelopes.
func (e envelopes) nameKey() string { return strings.ReplaceAll(e.key, "-", "") }

// notes says what an item lost on its way into an envelope.
type notes struct{ cut, notNumbers int64 }

// line appends the item to dst as JSON, with a line feed. Of an item that fails nothing is appended.
func (e envelopes) line(dst []byte, item appinsights.Telemetry) (_ []byte, n notes, err error) {
	start := len(dst)
	defer func() {
		if v := recover(); v != nil { // the item's methods are its maker's
			dst, err = dst[:start], fmt.Errorf("make an envelope: panic: %T", v)
		}
	}()
	envelope, n := e.envelope(item)
	line, err := appendEnvelope(dst, envelope)
	if err == nil && len(line)-start > maxItem {
		err = errTooLarge
	}
	if err != nil {
		return dst, n, err
	}
	return append(line, '\n'), n, nil
}

var errTooLarge = errors.New("the item is larger than 64 KB")

// envelope returns the item in an envelope that shares no map with it, within the limits of the schema. The contracts'
// own Sanitize knows the limits of values; it cuts them between bytes, which appendEnvelope mends.
func (e envelopes) envelope(item appinsights.Telemetry) (_ *contracts.Envelope, n notes) {
	fresh := false
	if r, ok := item.(*record); ok {
		item, fresh = r.item(), true
	}
	data := item.TelemetryData()
	if !fresh {
		n = tidy(data)
	}
	n.cut += int64(len(data.Sanitize()))

	tags := make(map[string]string, len(e.tags)+3)
	maps.Copy(tags, e.tags)
	maps.Copy(tags, item.ContextTags())
	n.cut += int64(len(contracts.SanitizeTags(tags)))

	at := item.Time()
	if at.IsZero() {
		at = time.Now()
	}
	body := contracts.NewData()
	body.BaseType, body.BaseData = data.BaseType(), data
	envelope := contracts.NewEnvelope()
	envelope.Name = data.EnvelopeName(e.nameKey())
	envelope.Time = at.UTC().Format(timeLayout)
	envelope.IKey = e.key
	envelope.Tags = tags
	envelope.Data = body
	return envelope, n
}

// tidy gives the data of an item that may be held by others maps and frames of its own, and mends what Sanitize does
// not: keys that are alike once they are cut, and measurements that are no numbers. A record needs none of it.
func tidy(data appinsights.TelemetryData) (n notes) {
	switch d := data.(type) {
	case *contracts.MessageData:
		d.Properties = shortKeys(d.Properties, &n)
	case *contracts.RemoteDependencyData:
		d.Properties = shortKeys(d.Properties, &n)
		d.Measurements = numbers(shortKeys(d.Measurements, &n), &n)
	case *contracts.ExceptionData:
		d.Properties = shortKeys(d.Properties, &n)
		d.Measurements = numbers(shortKeys(d.Measurements, &n), &n)
		for _, e := range d.Exceptions {
			e.ParsedStack = slices.Clone(e.ParsedStack)
			for i, f := range e.ParsedStack {
				frame := *f
				e.ParsedStack[i] = &frame
			}
		}
	}
	return n
}

// shortKeys returns a copy of the map in which no key is longer than the schema allows. Keys that are alike once they
// are cut get a number.
func shortKeys[V any](m map[string]V, n *notes) map[string]V {
	short := make(map[string]V, len(m))
	var long []string
	for k, v := range m {
		if len(k) > maxKey {
			long = append(long, k)
		} else {
			short[k] = v
		}
	}
	slices.Sort(long)
	for _, k := range long {
		n.cut++
		name := cut(k, maxKey)
		for i := 2; ; i++ {
			if _, taken := short[name]; !taken {
				break
			}
			number := "~" + strconv.Itoa(i)
			name = cut(k, maxKey-len(number)) + number
		}
		short[name] = m[k]
	}
	return short
}

func numbers(m map[string]float64, n *notes) map[string]float64 {
	maps.DeleteFunc(m, func(_ string, v float64) bool {
		not := math.IsNaN(v) || math.IsInf(v, 0)
		if not {
			n.notNumbers++
		}
		return not
	})
	return m
}

// cut returns the beginning of s, at most limit bytes and whole runes.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return whole(s[:limit])
}

// whole returns s without the part of a rune that it may end in.
func whole(s string) string {
	for i := 1; i <= min(len(s), utf8.UTFMax-1); i++ {
		if b := s[len(s)-i]; utf8.RuneStart(b) {
			if b >= utf8.RuneSelf && !utf8.FullRuneInString(s[len(s)-i:]) {
				return s[:len(s)-i]
			}
			break
		}
	}
	return s
}
