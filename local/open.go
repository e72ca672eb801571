package main

import (
	"os/exec"
	"runtime"
)

// openPage shows the page in the user's browser. Without one its address is on the console.
func (s *stack) openPage() {
	name, args := "xdg-open", []string{s.page + "/"}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", append([]string{"url.dll,FileProtocolHandler"}, args...)
	}
	browser := exec.Command(name, args...) //nolint:gosec,noctx // G204: a constant and an address of ours; a browser outlives this program
	if err := browser.Start(); err != nil {
		s.say("The page cannot be opened: %v", err)
		return
	}
	_ = browser.Process.Release() // whatever becomes of it is not ours
}
