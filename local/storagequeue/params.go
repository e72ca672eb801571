package storagequeue

import (
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of query parameters. Times are in seconds.
const (
	week           = 7 * 24 * 60 * 60
	defaultLife    = week
	defaultHidden  = 30 // after Get, and Update without a value
	forever        = -1
	maxMessages    = 32
	maxQueues      = 5000
	maxMetadata    = 8 << 10 // bytes, names and values
	metadataPrefix = "X-Ms-Meta-"
)

// query is a request's query parameters: names in lower case, each with its values.
type query map[string][]string

// get returns a parameter's first value, or "".
func (q query) get(name string) string {
	if len(q[name]) == 0 {
		return ""
	}
	return q[name][0]
}

// number returns a numeric parameter from minimum to maximum, or the default.
func (q query) number(name string, without, minimum, maximum int) (int, error) {
	if len(q[name]) == 0 {
		return without, nil
	}
	value := q.get(name)
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, errParameterValue.wrong(parameter{name: name, value: value, reason: "It is not a number."})
	}
	if n < minimum || n > maximum {
		return 0, errParameterRange.wrong(parameter{
			name: name, value: value, minimum: strconv.Itoa(minimum), maximum: strconv.Itoa(maximum),
		})
	}
	return n, nil
}

func (q query) seconds(name string, without, minimum, maximum int) (time.Duration, error) {
	n, err := q.number(name, without, minimum, maximum)
	return time.Duration(n) * time.Second, err
}

// putTimes returns for how long a new message is hidden, and after what time it expires; 0 for never.
func (q query) putTimes() (hidden, life time.Duration, err error) {
	hidden, err = q.seconds("visibilitytimeout", 0, 0, week)
	if err != nil {
		return 0, 0, err
	}
	seconds, err := q.number("messagettl", defaultLife, math.MinInt32, math.MaxInt32)
	if err != nil {
		return 0, 0, err
	}
	if seconds == forever {
		return hidden, 0, nil
	}
	if seconds <= 0 {
		return 0, 0, errParameterValue.wrong(parameter{
			name: "messagettl", value: strconv.Itoa(seconds), reason: "It is neither positive nor -1, which means for ever.",
		})
	}
	life = time.Duration(seconds) * time.Second
	if len(q["messagettl"]) > 0 && hidden >= life {
		return 0, 0, errParameterValue.wrong(parameter{
			name: "visibilitytimeout", value: q.get("visibilitytimeout"), reason: "It is not smaller than messagettl.",
		})
	}
	return hidden, life, nil
}

// receipt returns the pop receipt.
func (q query) receipt() (string, error) {
	receipt := q.get("popreceipt")
	if receipt == "" {
		return "", errParameterMissing.wrong(parameter{name: "popreceipt"})
	}
	return receipt, nil
}

// checkName checks a queue's name: 3 to 63 lower-case letters, digits and single dashes, none at an end.
func checkName(name string) error {
	if len(name) < 3 || len(name) > 63 {
		return errNameLength
	}
	for part := range strings.SplitSeq(name, "-") {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return errName
		}
	}
	return nil
}

// metadata returns the metadata in the headers x-ms-meta-NAME. A name is a C# identifier, here in ASCII only.
func metadata(h http.Header) (map[string]string, error) {
	var found map[string]string
	size := 0
	for _, key := range slices.Sorted(maps.Keys(h)) {
		name, ok := strings.CutPrefix(key, metadataPrefix)
		if !ok {
			continue
		}
		name = strings.ToLower(name)
		switch {
		case name == "":
			return nil, errMetadataName
		case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "", name[0] >= '0' && name[0] <= '9', len(h[key]) > 1:
			return nil, errMetadata
		}
		size += len(name) + len(h[key][0])
		if found == nil {
			found = make(map[string]string)
		}
		found[name] = h[key][0]
	}
	if size > maxMetadata {
		return nil, errMetadataTooLong
	}
	return found, nil
}
