# The first target explains the others.
GOLANGCI_VERSION := v2.15.0
FUZZTIME := 30s
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/userrelay
GOLANGCI := $(TOOLS)/golangci-lint/$(GOLANGCI_VERSION)/golangci-lint
ACTIONLINT_VERSION := v1.7.12
ACTIONLINT := $(TOOLS)/actionlint/$(ACTIONLINT_VERSION)/actionlint
AZURERM_VERSION := $(shell sed -n 's|.*hashicorp/terraform-provider-azurerm \(v[^ ]*\).*|\1|p' tools/terraform/go.mod)
AZURERM := $(TOOLS)/terraform-provider-azurerm/$(AZURERM_VERSION)/terraform-provider-azurerm

.PHONY: help build run test test-kafka test-page test-queries test-queue test-auth0 test-infra deploy package provider drill fuzz bench pgo simulate simulate-controls lint lint-api fmt

help: ## Say what the targets do
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## Build the handler into bin/
	go build -trimpath -ldflags='-s -w' -o bin/handler ./handler

run: ## Run all of it on this machine
	go run ./local

test: ## Run all tests, with the race detector
	GORACE=atexit_sleep_ms=50 go test -race -shuffle=on -timeout=30m ./...

test-kafka: ## Run the tests with a real Apache Kafka: make test-kafka KAFKA_HOME=…
	@test -n "$(KAFKA_HOME)" || { echo 'KAFKA_HOME must name an unpacked Apache Kafka 4; see CONTRIBUTING.md'; exit 1; }
	KAFKA_HOME='$(KAFKA_HOME)' go test -race ./local/realkafka ./test/kafka

test-page: ## Run the tests of the local page in a browser (Node.js, Chromium)
	npm ci --prefix test/page --no-audit --no-fund
	go test ./test/page

test-queue: ## Run the tests of the Storage queue's stand-in, and the same on Azurite (Node.js)
	npm ci --prefix test/azurite --no-audit --no-fund
	go test -race ./local/storagequeue/...

test-auth0: ## Run the tests of the Auth0 side (Node.js 20.19 or newer)
	npm ci --prefix auth0 --no-audit --no-fund
	npm ci --prefix test/auth0 --no-audit --no-fund
	go test ./auth0/... ./test/auth0

test-queries: ## Check the queries for Application Insights (Node.js)
	npm ci --prefix tools/kql --no-audit --no-fund
	go test ./infra/queries

bench: ## Measure beside other relays and write docs/benchmarks.md; KAFKA_HOME=… adds a real Kafka
	KAFKA_HOME='$(KAFKA_HOME)' go run ./test/bench

pgo: ## Profile the handler under load, for the compiler: handler/default.pgo
	go run ./test/bench -pgo handler/default.pgo -d 10s

drill: ## Break all of it, with a real Apache Kafka, and write docs/reliability.md: make drill KAFKA_HOME=…
	KAFKA_HOME='$(KAFKA_HOME)' go run ./test/drill

simulate: ## Run the simulation of bad days: make simulate SEEDS=10000 FIRST=1
	SIMULATION_STEADY=1 SIMULATION_SEEDS='$(or $(SEEDS),10000)' SIMULATION_FIRST='$(or $(FIRST),1)' go test -count=1 -v -timeout=0 -run='^TestPromises$$' ./test/simulation

simulate-controls: ## Plant faults that the simulation must find, and run seeds twice
	go test -count=1 -v -timeout=0 -tags=controls -run='^Test(Controls|Reproducible)$$' ./test/simulation

test-infra: $(AZURERM) ## Check infrastructure, alerts and package (Terraform 1.11, Node.js)
	@command -v terraform >/dev/null || { echo 'Terraform 1.11 or later is missing: developer.hashicorp.com/terraform/install'; exit 1; }
	npm ci --prefix tools/kql --no-audit --no-fund
	go test ./infra/... ./tools/deploy ./tools/package

deploy: ## Publish into Azure: make deploy FLAGS=-n prints the commands
	go run ./tools/deploy $(FLAGS)

package: ## Make the package for Azure, and the list of what is in it
	go run ./tools/package -o userrelay.zip -sbom userrelay.cdx.json

provider: $(AZURERM) ## Build Terraform's provider, once for each version (about 10 minutes)

fuzz: ## Look for inputs that break a decoder, FUZZTIME=30s for each
	@go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./... | while read -r dir; do \
		grep -ho '^func Fuzz[A-Za-z]*' "$$dir"/*_test.go 2>/dev/null | sed 's/^func //' | while read -r name; do \
			echo "$$name in $$dir"; go test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) "$$dir" || exit 1; \
		done || exit 1; \
	done

lint: $(GOLANGCI) $(ACTIONLINT) ## Check style and habits, on all systems that the code is for
	$(GOLANGCI) run ./...
	GOOS=windows go vet ./...
	GOOS=darwin go vet ./...
	go mod tidy -diff
	shellcheck .ci/run
	$(ACTIONLINT)

lint-api: ## Check docs/openapi.yaml and docs/asyncapi.yaml (Node.js)
	@test -d tools/apilint/node_modules || npm ci --prefix tools/apilint --no-audit --no-fund
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npm run --silent --prefix tools/apilint lint

fmt: $(GOLANGCI) ## Format the code
	$(GOLANGCI) fmt ./...

$(GOLANGCI): tools/golangci-lint/go.mod
	@echo 'Building golangci-lint $(GOLANGCI_VERSION); it takes some minutes, once.'
	cd tools/golangci-lint && go build -o $(@D)/ tool
	@touch $@

$(ACTIONLINT):
	cd tools/actionlint && go build -o $(@D)/ tool

$(AZURERM): # no prerequisite: the path has the version, and a fresh clone must not build it again
	@echo 'Building Terraform provider azurerm $(AZURERM_VERSION); it takes about 10 minutes, once.'
	cd tools/terraform && go build -trimpath -ldflags='-s -w' -o $(@D)/ github.com/hashicorp/terraform-provider-azurerm
