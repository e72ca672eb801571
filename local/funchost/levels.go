package funchost

import "strings"

// Categories of the host's log.
const (
	categoryConsole = "Host.Function.Console" // the handler's own lines
	categoryResults = "Host.Results"          // requests of Application Insights
)

func categoryOf(function string) string { return "Function." + function }

// levels are logging.logLevel of host.json: the lowest level that is logged, by category.
type levels struct {
	otherwise level
	byPrefix  map[string]level // in lower case
}

func (v *values) levels() levels {
	const section = "logging:loglevel:"
	l := levels{byPrefix: map[string]level{}}
	known := map[string]level{
		"trace": information, "debug": information, "information": information, "warning": warning, "error": failure, "critical": failure, "none": failure + 1,
	}
	for key, text := range v.m {
		category, ok := strings.CutPrefix(key, section)
		if !ok {
			continue
		}
		least, ok := known[strings.ToLower(text)]
		switch {
		case !ok:
			v.fail("logging:logLevel:"+category, "is not a log level")
		case category == "default":
			l.otherwise = least
		default:
			l.byPrefix[category] = least
		}
	}
	return l
}

// pass says whether a line of a category is logged: the longest matching prefix decides.
func (l levels) pass(category string, at level) bool {
	least, longest := l.otherwise, -1
	for prefix, level := range l.byPrefix {
		if len(prefix) > longest && len(category) >= len(prefix) && strings.EqualFold(category[:len(prefix)], prefix) {
			least, longest = level, len(prefix)
		}
	}
	return at >= least
}
