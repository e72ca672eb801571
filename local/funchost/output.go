package funchost

import "strings"

const (
	systemPrefix = "LanguageWorkerConsoleLog"

	// keptErrors is how many lines of stderr the host quotes when the handler crashes.
	keptErrors = 3
)

// output sets the level of the lines of one launch of the handler, and keeps the last errors. stdout and stderr come
// from two goroutines, but only stderr touches the errors.
type output struct {
	console    *console
	rows       *rows // nil: not reported
	errorsOnly bool  // useStdErrorStreamForErrorsOnly
	errors     []string
}

func (o *output) stdout(line string) { o.print(information, line) }

func (o *output) stderr(line string) {
	l := o.stderrLevel(strings.ToLower(line))
	o.print(l, line)
	if l != failure || line == "" {
		return
	}
	if o.errors = append(o.errors, line); len(o.errors) > keptErrors {
		o.errors = o.errors[1:]
	}
}

func (o *output) stderrLevel(lower string) level {
	if strings.Contains(lower, "warn") {
		return warning
	}
	if o.errorsOnly {
		return failure
	}
	for _, word := range []string{"error", "fail", "severe", "unhandled exception"} {
		if strings.Contains(lower, word) {
			return failure
		}
	}
	return information
}

// print prints a line. A line with the system prefix goes to the host's own log, of which func shows warnings and
// errors only. A line with the prefix azfuncjsonlog: is for tools that read the console, and keeps the prefix.
func (o *output) print(l level, line string) {
	if !hasPrefixFold(line, systemPrefix) {
		o.console.log(categoryConsole, l, "%s", line)
		if o.rows != nil {
			o.rows.line(categoryConsole, l, line)
		}
		return
	}
	if l != information {
		o.console.print(l, "%s", line[len(systemPrefix):])
	}
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
