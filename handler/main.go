// Handler is the custom handler of an Azure Functions app: it takes the ids of newly registered Auth0 users and stores
// them in Kafka. The Functions host starts it; its settings are in the environment (see docs/settings.md).
package main

import "os"

func main() {
	vars := variablesOf(os.Environ())
	tuneMemory(vars)
	os.Exit(run(os.Args[1:], vars, os.Stdout, os.Stderr))
}
