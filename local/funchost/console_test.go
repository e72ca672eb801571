package funchost_test

import (
	"regexp"
	"testing"

	"userrelay/local/funchost"
	"userrelay/test/wait"
)

const stamp = `\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] `

// TestConsoleAtStart checks the lines about the host and the app, in this order.
func TestConsoleAtStart(t *testing.T) {
	t.Parallel()
	a := standard()
	a.functions["Timed"] = `{"bindings":[{"type":"timerTrigger","direction":"in","name":"t"}]}`
	a.functions["Queued"] = `{"bindings":[{"type":"queueTrigger","name":"message","queueName":"q-1"},{"type":"queue","direction":"out","name":"q"}]}`
	a.functions["Mixed"] = `{"bindings":[{"type":"httpTrigger","name":"req"},` + httpOut + `,{"type":"queue","direction":"out","name":"q"}]}`
	cfg := config(t, funchost.Forward, "")
	cfg.Dir = a.write(t)
	r := start(t, cfg)
	r.call(t, "GET", open, "").seen(t)
	text := r.console.String()
	url := regexp.QuoteMeta(r.URL())
	for _, pattern := range []string{
		`^` + stamp + `This is a stand-in of the Azure Functions host .* It is not Microsoft's\. It leaves out:\n`,
		`Function 'Mixed' is ignored: .* no invocation mode`,
		`Function 'Queued' is ignored: it has bindings beside its queueTrigger`,
		`Function 'Timed' is ignored: the stand-in has no timerTrigger`,
		`(?m)^Functions:$`,
		`(?m)^Function Off is disabled\.$`,
		`(?m)^\tOpen: ` + url + `/api/Open$`,
		`(?m)^\tRegisterUser: \[POST\] ` + url + `/api/RegisterUser$`,
		`(?m)^\tRouted: \[GET\] ` + url + `/api/Some/Where$`,
	} {
		at := regexp.MustCompile(pattern).FindStringIndex(text)
		if at == nil {
			t.Fatalf("no %s in what is left of the console", pattern)
		}
		text = text[at[1]:]
	}
	if got := r.FunctionURL("REGISTERUSER"); got != r.URL()+"/api/RegisterUser" {
		t.Errorf("FunctionURL is %s", got)
	}
	if got := r.FunctionURL("Timed"); got != "" {
		t.Errorf("FunctionURL of a function that is not there is %s", got)
	}
}

// TestConsoleOfInvocations shows that the lines carry the id that the handler sees, and no keys.
func TestConsoleOfInvocations(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, config(t, mode.mode, ""))
			got := r.call(t, "POST", "/api/registeruser?code="+functionKey, "x", "X-Functions-Key: "+hostKey, tell("status", "500")).seen(t)
			id := got.Header.Get("X-Azure-Functions-Invocationid")
			wait.For(t, "both lines", func() bool {
				return r.console.matches(`^`+stamp+`Executing 'Functions\.RegisterUser' \(Reason='This function was programmatically called via the host APIs\.', Id=`+id+`\)$`) &&
					r.console.matches(`^`+stamp+`Executed 'Functions\.RegisterUser' \(Succeeded, Id=`+id+`, Duration=\d+ms\)$`)
			})
			r.call(t, "POST", "/api/registeruser?code="+functionKey, "x", tell("drop", "2")).wantEmpty(t, 500)
			wait.For(t, "the failure", func() bool { return r.console.has("(Failed, Id=") })
			for _, key := range []string{functionKey, otherKey, hostKey, masterKey, systemKey} {
				if r.console.has(key) {
					t.Errorf("the console shows %s", key)
				}
			}
		})
	}
}

// TestConsoleOfTheHandler checks the level of each of the handler's lines. Warnings are yellow, errors red.
func TestConsoleOfTheHandler(t *testing.T) {
	t.Parallel()
	const plain, yellow, red, reset = `^`, `^\x1b\[33m`, `^\x1b\[31m`, `\x1b\[0m`
	type line struct{ stream, text, want string }
	both := []line{
		{"stdout", "on stdout", plain + stamp + "on stdout$"},
		{"stdout", "error and warning on stdout", plain + stamp + "error and warning on stdout$"},
		{"stdout", `{"level":"ERROR"}`, plain + stamp + `\{"level":"ERROR"\}$`},
		{"stdout", "azfuncjsonlog:{}", plain + stamp + `azfuncjsonlog:\{\}$`},
		{"stderr", "has a WARNing", yellow + stamp + "has a WARNing" + reset + "$"},
		{"stderr", "this failed", red + stamp + "this failed" + reset + "$"},
		{"stderr", "languageworkerconsolelog an error", red + stamp + " an error" + reset + "$"},
	}
	for _, tt := range []struct {
		name       string
		errorsOnly bool
		lines      []line
	}{
		{"all of stderr is errors", true, append([]line{
			{"stderr", "on stderr", red + stamp + "on stderr" + reset + "$"},
		}, both...)},
		{"only what sounds like one", false, append([]line{
			{"stderr", "on stderr", plain + stamp + "on stderr$"},
			{"stderr", "an Error", red + stamp + "an Error" + reset + "$"},
			{"stderr", "SEVERE", red + stamp + "SEVERE" + reset + "$"},
			{"stderr", "Unhandled Exception", red + stamp + "Unhandled Exception" + reset + "$"},
		}, both...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := standard()
			a.description["useStdErrorStreamForErrorsOnly"] = tt.errorsOnly
			cfg := config(t, funchost.Forward, "")
			cfg.Dir = a.write(t)
			r := start(t, cfg)
			pairs := []string{"stdout", "LanguageWorkerConsoleLog hidden"}
			for _, l := range tt.lines {
				pairs = append(pairs, l.stream, l.text)
			}
			r.call(t, "GET", open, "", tell(pairs...)).seen(t)
			for _, l := range tt.lines {
				wait.For(t, l.want, func() bool { return r.console.matches(l.want) })
			}
			if r.console.has("hidden") {
				t.Error("the console shows an informational line of the system log")
			}
		})
	}
}

// TestConsoleWithoutNewline shows that a last line without a line end is not lost.
func TestConsoleWithoutNewline(t *testing.T) {
	t.Parallel()
	cfg := config(t, funchost.Forward, "")
	cfg.Color = false
	r := start(t, cfg)
	r.call(t, "POST", open, "x", tell("unended", "no end", "unendedErr", "nor here", "exit", "1"))
	wait.For(t, "the lines, without color", func() bool {
		return r.console.matches("^"+stamp+"no end$") && r.console.matches("^"+stamp+"nor here$")
	})
}
