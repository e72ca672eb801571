package funchost

import (
	"runtime"
	"strconv"
	"strings"
	"time"
)

// The host's defaults and limits of extensions.queues (azure-sdk-for-net, QueuesOptions.cs and QueuePollingIntervals.cs).
const (
	defaultBatchSize       = 16
	maxBatchSize           = 32
	defaultMaxDequeueCount = 5

	minPollingInterval         = 100 * time.Millisecond
	defaultMaxPollingInterval  = time.Minute
	developmentPollingInterval = 2 * time.Second
)

// queueOptions is extensions.queues of host.json, which applies to all queue triggers of the app.
type queueOptions struct {
	batchSize         int           // messages requested in one call
	newBatchThreshold int           // more are requested when at most this many are in progress
	maxDequeueCount   int64         // a message that fails at this attempt is poisoned
	visibilityTimeout time.Duration // after a failure
	maxInterval       time.Duration // between two reads of an empty queue
	plain             bool          // messageEncoding none: messages are text, not base64
}

func (v *values) queueOptions(env environment) queueOptions {
	const queues = "extensions:queues:"
	o := queueOptions{
		batchSize:         v.number(queues+"batchSize", defaultBatchSize, 1, maxBatchSize),
		maxDequeueCount:   int64(v.number(queues+"maxDequeueCount", defaultMaxDequeueCount, 1, 1<<31-1)),
		visibilityTimeout: v.timespanFrom(queues+"visibilityTimeout", 0, 0),
		maxInterval:       v.timespanFrom(queues+"maxPollingInterval", defaultMaxPollingInterval, minPollingInterval),
	}
	o.newBatchThreshold = v.number(queues+"newBatchThreshold", o.batchSize/2*runtime.NumCPU(), 0, 1<<20)
	// As in the host: in Development values other than the default stay.
	if name, _ := env.lookup("AZURE_FUNCTIONS_ENVIRONMENT"); strings.EqualFold(name, "Development") && o.maxInterval == defaultMaxPollingInterval {
		o.maxInterval = developmentPollingInterval
	}
	switch encoding := v.text(queues + "messageEncoding"); {
	case encoding == "", strings.EqualFold(encoding, "base64"):
	case strings.EqualFold(encoding, "none"):
		o.plain = true
	default:
		v.fail(queues+"messageEncoding", "is neither base64 nor none")
	}
	return o
}

func (v *values) number(path string, otherwise, least, most int) int {
	text := v.text(path)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		v.fail(path, "is not a number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
		return otherwise
	}
	return n
}

func (v *values) timespanFrom(path string, otherwise, least time.Duration) time.Duration {
	text := v.text(path)
	if text == "" {
		return otherwise
	}
	d, ok := parseTimespan(text)
	if !ok || d < least {
		v.fail(path, `is not a time span such as "00:00:30", or less than `+least.String())
		return otherwise
	}
	return d
}
