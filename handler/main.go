// Handler is the custom handler of an Azure Functions app: it receives newly registered Auth0 users and stores them in
// Kafka. The Functions host starts it. Its settings are environment variables (see docs/settings.md).
package main

import "os"

func main() {
	vars := variablesOf(os.Environ())
	tuneMemory(vars)
	os.Exit(run(os.Args[1:], vars, os.Stdout, os.Stderr))
}
