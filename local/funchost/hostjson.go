package funchost

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	hostFileName = "host.json"

	// overridePrefix is the prefix of the settings that override a value of host.json: AzureFunctionsJobHost__a__b.
	overridePrefix = "AzureFunctionsJobHost__"

	defaultInitTimeout = 30 * time.Second
)

// hostFile is the part of host.json that the stand-in uses.
type hostFile struct {
	executable       string
	arguments        []string
	workerPath       string
	workerArguments  []string
	workingDir       string // as written
	workerDir        string // as written
	stderrErrorsOnly bool

	forwarding  bool
	proxying    bool
	initTimeout time.Duration
	port        int // 0: any

	functionTimeout time.Duration // 0: none
	routePrefix     string
	queues          queueOptions
	levels          levels
	insights        insightsOptions
}

// readHostFile reads host.json in dir and the settings in env that override its values.
func readHostFile(dir string, env environment) (hostFile, error) {
	data, err := os.ReadFile(filepath.Join(dir, hostFileName))
	if err != nil {
		return hostFile{}, fmt.Errorf("read %s: %w", hostFileName, err)
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		return hostFile{}, fmt.Errorf("%s: %w", hostFileName, err)
	}
	v := values{m: map[string]string{}}
	v.flatten("", tree)
	v.override(env)
	file := v.hostFile()
	file.queues = v.queueOptions(env)
	file.levels = v.levels()
	file.insights = v.insightsOptions()
	if err := errors.Join(v.errs...); err != nil {
		return hostFile{}, err
	}
	return file, nil
}

// values holds host.json in the form of .NET's configuration: every leaf as a string under its path, in lower case and
// joined by colons ("customhandler:description:arguments:0"). It collects mistakes, so that all are reported at once.
type values struct {
	m    map[string]string
	errs []error
}

func (v *values) flatten(key string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, child := range value {
			v.flatten(join(key, name), child)
		}
	case []any:
		for i, child := range value {
			v.flatten(join(key, strconv.Itoa(i)), child)
		}
	case nil:
	case float64:
		v.m[key] = strconv.FormatFloat(value, 'f', -1, 64)
	default:
		v.m[key] = fmt.Sprint(value)
	}
}

func join(key, name string) string {
	return strings.TrimPrefix(key+":"+strings.ToLower(name), ":")
}

func (v *values) override(env environment) {
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if len(name) > len(overridePrefix) && strings.EqualFold(name[:len(overridePrefix)], overridePrefix) {
			path := strings.ReplaceAll(name[len(overridePrefix):], "__", ":")
			v.m[strings.ToLower(path)] = value
		}
	}
}

func (v *values) hostFile() hostFile {
	const handler, description = "customHandler:", "customHandler:description:"
	if version := v.text("version"); version != "2.0" {
		v.fail("version", `want "2.0"`)
	}
	f := hostFile{
		executable:       v.text(description + "defaultExecutablePath"),
		arguments:        v.list(description + "arguments"),
		workerPath:       v.text(description + "defaultWorkerPath"),
		workerArguments:  v.list(description + "workerArguments"),
		workingDir:       v.text(description + "workingDirectory"),
		workerDir:        v.text(description + "workerDirectory"),
		stderrErrorsOnly: v.boolean(description+"useStdErrorStreamForErrorsOnly", true),
		forwarding:       v.boolean(handler+"enableForwardingHttpRequest", false),
		proxying:         v.boolean(handler+"enableProxyingHttpRequest", false),
		initTimeout:      v.timespan(handler+"initializationTimeout", defaultInitTimeout),
		port:             v.port(handler + "port"),
		functionTimeout:  v.functionTimeout(),
		routePrefix:      "api",
	}
	if f.executable == "" {
		v.fail(description+"defaultExecutablePath", "is missing or empty")
	}
	if prefix, ok := v.m["extensions:http:routeprefix"]; ok {
		f.routePrefix = strings.Trim(prefix, "/")
	}
	for _, path := range []string{"httpWorker", handler + "http:routes", "configurationProfile"} {
		if v.has(path) {
			v.fail(path, "is not supported by the stand-in")
		}
	}
	return f
}

func (v *values) fail(path, reason string) {
	v.errs = append(v.errs, fmt.Errorf("%s: %s %s", hostFileName, strings.ReplaceAll(path, ":", "."), reason))
}

// has says whether there is anything at path or below it.
func (v *values) has(path string) bool {
	path = strings.ToLower(path)
	for key := range v.m {
		if key == path || strings.HasPrefix(key, path+":") {
			return true
		}
	}
	return false
}

func (v *values) text(path string) string { return v.m[strings.ToLower(path)] }

func (v *values) boolean(path string, otherwise bool) bool {
	switch text := v.text(path); {
	case text == "":
		return otherwise
	case strings.EqualFold(text, "true"):
		return true
	case strings.EqualFold(text, "false"):
		return false
	}
	v.fail(path, "is not a boolean")
	return otherwise
}

// list reads an array. A setting with a JSON array in a string overrides it.
func (v *values) list(path string) []string {
	var list []string
	if text := v.text(path); text != "" {
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			v.fail(path, "is not an array of strings")
		}
		return list
	}
	for i := 0; ; i++ {
		text, ok := v.m[join(strings.ToLower(path), strconv.Itoa(i))]
		if !ok {
			return list
		}
		list = append(list, text)
	}
}

func (v *values) port(path string) int {
	text := v.text(path)
	if text == "" {
		return 0
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		v.fail(path, "is not a port")
	}
	return int(port)
}

func (v *values) functionTimeout() time.Duration {
	if v.text("functionTimeout") == "-1" {
		return 0
	}
	return v.timespan("functionTimeout", defaultFunctionTimeout)
}

func (v *values) timespan(path string, otherwise time.Duration) time.Duration {
	text := v.text(path)
	if text == "" {
		return otherwise
	}
	d, ok := parseTimespan(text)
	if !ok || d <= 0 {
		v.fail(path, `is not a time span such as "00:00:30"`)
		return otherwise
	}
	return d
}

// parseTimespan reads .NET's [days.]hours:minutes:seconds[.fraction].
func parseTimespan(text string) (time.Duration, bool) {
	parts := regexp.MustCompile(`^(?:(\d{1,5})\.)?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d{1,7})?)$`).FindStringSubmatch(text)
	if parts == nil {
		return 0, false
	}
	days, _ := strconv.Atoi("0" + parts[1])
	d, err := time.ParseDuration(fmt.Sprintf("%sh%sm%ss", parts[2], parts[3], parts[4]))
	return time.Duration(days)*24*time.Hour + d, err == nil
}
