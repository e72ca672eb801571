package funchost

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"userrelay/local/devstorage"
)

// queueFunction is a function with a queue trigger.
type queueFunction struct {
	name     string
	binding  string
	queue    string
	setting  string // names the connection
	binary   bool   // dataType binary: the handler gets bytes, not text
	disabled bool
}

// developmentStorage is the meaning of UseDevelopmentStorage=true in all of Azure's libraries.
const developmentStorage = "DefaultEndpointsProtocol=http;AccountName=" + devstorage.Account + ";AccountKey=" + devstorage.Key +
	";QueueEndpoint=http://127.0.0.1:" + devstorage.QueuePort + "/" + devstorage.Account

// newQueueFunction reads a queueTrigger.
func newQueueFunction(name string, trigger binding, env environment) (queueFunction, error) {
	fn := queueFunction{
		name:    name,
		binding: trigger.Name,
		queue:   strings.ToLower(env.expand(trigger.QueueName)),
		setting: trigger.Connection,
		binary:  strings.EqualFold(trigger.DataType, "binary"),
	}
	if fn.setting == "" {
		fn.setting = "AzureWebJobsStorage"
	}
	if !fn.binary && trigger.DataType != "" && !strings.EqualFold(trigger.DataType, "string") {
		return fn, fmt.Errorf("dataType %q is not one of string, binary", trigger.DataType)
	}
	if !validQueueName(fn.queue) {
		return fn, fmt.Errorf("queueName %q is not a queue's name: 3 to 63 letters, digits and single dashes, no dash first or last", trigger.QueueName)
	}
	return fn, nil
}

func validQueueName(name string) bool {
	return len(name) >= 3 && len(name) <= 63 && regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(name)
}

// poisonQueue is the queue for messages that are given up. If it is empty, failed messages stay in their queue,
// invisible.
func (fn queueFunction) poisonQueue() string {
	const suffix = "-poison"
	name := fn.queue + suffix
	if strings.HasSuffix(fn.queue, suffix) || !validQueueName(name) {
		return ""
	}
	return name
}

// connection returns the connection string in the function's setting. Errors name settings, never values.
func (fn queueFunction) connection(env environment) (string, error) {
	names := []string{"AzureWebJobs" + fn.setting, fn.setting} // in the host's order
	for _, name := range names {
		value, _ := env.lookup(name)
		switch {
		case value == "":
		case strings.EqualFold(strings.TrimSuffix(strings.ReplaceAll(value, " ", ""), ";"), "UseDevelopmentStorage=true"):
			return developmentStorage, nil
		default:
			return value, nil
		}
	}
	for _, name := range names {
		for _, member := range []string{"__queueServiceUri", "__accountName", "__serviceUri"} {
			if value, _ := env.lookup(name + member); value != "" {
				return "", fmt.Errorf("%s%s asks for an identity, and the stand-in has none: give %s a connection string", name, member, fn.setting)
			}
		}
	}
	return "", errors.New("the setting " + fn.setting + ", which names its connection, has no value")
}
