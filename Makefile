# The targets with a comment are for use; `make` lists them. What they do stands in
# scripts/, and everything they set up lies in .build/ and node_modules.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Long enough for two slow cores with the race detector, short enough to find a hang.
TEST_TIMEOUT ?= 20m
# The race detector watches Kontor and what it calls, but not the inside of SQLite, which comes as Go translated
# from C: with it, tests that use the store take twice as long, and find nothing of ours.
RACE := -race '-gcflags=modernc.org/...=-d=checkptr=0' '-gcflags=modernc.org/sqlite/lib=-race=false -d=checkptr=0'
# Packages, or flags, for go test: make test-go TEST=./internal/money
TEST ?= ./...

# The suites that run on both engines: test-go has stores in SQLite, test-postgres in PostgreSQL. The slowest is first.
SUITES := ./test/crash ./test/security ./test/e2e ./test/chaos ./test/overload ./test/growth ./test/proxy

# Where the functions are that calls spend their time in.
HOT := ./internal/keys ./internal/service/... ./internal/providers/... ./internal/server/... ./internal/watch/... \
	./internal/history ./internal/store/sqlite

# Builds what measures, and has it measure in its folder.
BENCH = go build -o .build/bench ./test/bench && cd test/bench && $(CURDIR)/.build/bench -rounds $(or $(ROUNDS),6) \
	-each $(or $(SECONDS_EACH),1)s

# check's steps share what they set up.
.NOTPARALLEL:

.PHONY: help
help:
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Start the gateway with all providers played by the sandbox
	go run ./cmd/gateway sandbox

.PHONY: build
build: ## Build bin/gateway
	scripts/build.sh

.PHONY: release
release: ## Build archives, bills of materials and checksums of the last commit into .build/dist
	scripts/release.sh

.PHONY: verify-release
verify-release: ## Build a release twice and compare; FRESH=1 without the build cache, which takes minutes
	scripts/verify-release.sh

.PHONY: image
image: ## Build the container image of the last commit as IMAGE (localhost/kontor)
	scripts/image.sh

.PHONY: test
test: test-go test-clients ## Run all tests, Go and clients, setting up what they need

.PHONY: test-go
test-go: setup ## Run the Go tests
	scripts/postgres.sh go test -timeout $(TEST_TIMEOUT) $(TEST)

.PHONY: test-race
test-race: setup ## Run the Go tests with the race detector
	scripts/postgres.sh go test $(RACE) -timeout $(TEST_TIMEOUT) $(TEST)

.PHONY: test-postgres
test-postgres: setup ## Run the suites with stores in PostgreSQL
	KONTOR_TEST_STORE=postgres scripts/postgres.sh go test -timeout $(TEST_TIMEOUT) $(SUITES)

.PHONY: test-failover
test-failover: ## Lose PostgreSQL's primary under load; FULL=1 20 times
	scripts/patroni.sh go test -tags failover ./test/failover -count 1 -v -timeout 60m $(if $(FULL),-args -full)

.PHONY: test-clients
test-clients: ## Run the tests of the TypeScript and Python stubs
	scripts/test-clients.sh

.PHONY: check
check: verify-generate lint vuln test-race test-postgres test-failover fuzz-briefly test-clients check-deploy ## Run what CI runs

.PHONY: check-deploy
check-deploy: ## Check deploy/ and releases; wholly as root on Debian or Ubuntu
	scripts/check-deploy.sh

.PHONY: crash
crash: ## Kill the gateway at every step, and 200 times at random
	scripts/postgres.sh go test -timeout 30m -count=1 ./test/crash -kills 200

.PHONY: chaos
chaos: ## Let one provider hang, then faults come and go at both, for MINUTES (3) each; SEED repeats a run
	go test ./test/chaos -run '^(TestHangStaysWithItsProvider|TestMix)$$' -count 1 -v -timeout 60m -args -minutes $(or $(MINUTES),3) $(if $(SEED),-seed $(SEED))

.PHONY: chaos-postgres
chaos-postgres: ## Kill, freeze and restart gateways that share a PostgreSQL, the server, and a cluster's primary; SEED repeats a run
	scripts/chaos-postgres.sh

.PHONY: test-openapi
test-openapi: ## Send requests made up from the OpenAPI document for MINUTES (5)
	go test ./test/e2e -run '^(TestExamples|TestRequestsAsDescribed)$$' -count 1 -v -timeout 60m -args -openapi $(or $(MINUTES),5)m

.PHONY: record-answers
record-answers: ## Record the answers that the OpenAPI document shows; `make generate` takes them over
	go test ./test/e2e -run '^TestExamples$$' -count 1 -timeout 10m -args -record -seed 1

.PHONY: attack
attack: ## Flood the gateway and measure its memory
	go test ./test/overload -run 'TestAttacks|TestUnreadWatches' -count 1 -v -timeout 20m -args -full

.PHONY: overload
overload: ## Send ten times as many callers as the gateway serves best, for SECONDS_EACH (10)
	go test ./test/overload -run '^TestOverload$$' -count 1 -v -timeout 20m -args -full -seconds $(or $(SECONDS_EACH),10)

.PHONY: overload-levels
overload-levels: ## Send calls at 25% to 300% of the peak, SECONDS_EACH (10): latency, CPU, who is refused, and how fast
	go test ./test/overload -run '^TestLevels$$' -count 1 -v -timeout 20m -args -full -seconds $(or $(SECONDS_EACH),10)

.PHONY: rivals
rivals: ## Have one tenant ask for too much, and compare another one's latency with when it is alone
	go test ./test/overload -run '^TestRivals$$' -count 1 -v -timeout 20m -args -full -seconds $(or $(SECONDS_EACH),10)

.PHONY: bench-growth
bench-growth: ## Remove a million audit rows and a customer with 200,000, list among a million consents, and create some, measured
	go test ./test/growth -run '^(TestMeasured|TestManyConsents)$$' -count 1 -v -timeout 60m -args -full
	go test ./test/growth -run '^$$' -bench Creates -benchtime 5x

.PHONY: bench-replicas
bench-replicas: ## Measure one, two and four gateways on one PostgreSQL, beside SQLite, each load for SECONDS_EACH (10)
	scripts/postgres.sh go test ./test/scale -count 1 -v -timeout 60m -args -full -seconds $(or $(SECONDS_EACH),10)

.PHONY: bench
bench: ## Measure Kontor beside a proxy and a naive gateway; ROWS=a,b, ROUNDS (6), SECONDS_EACH (1), MARKDOWN=1
	$(BENCH) $(if $(ROWS),-rows $(ROWS)) $(if $(MARKDOWN),-markdown)

.PHONY: bench-profile
bench-profile: ## Profile Kontor's CPU while ROW (accounts) of bench is measured
	$(BENCH) -rows $(or $(ROW),accounts) -profile $(CURDIR)/.build/bench.pprof
	@go tool pprof -top -cum -nodecount 60 .build/bench.pprof

.PHONY: bench-functions
bench-functions: ## Run the benchmarks of functions
	go test -run '^$$' -bench . -benchmem $(TEST)

.PHONY: bench-compare
bench-compare: ## Compare the benchmarks of functions with those of BASE (main), in TEST; COUNT (8), BENCHTIME, BENCH
	scripts/bench-compare.sh $(or $(BASE),main) $(if $(filter ./...,$(TEST)),$(HOT),$(TEST))

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (10s)
	scripts/fuzz.sh

.PHONY: fuzz-briefly
fuzz-briefly: ## Run every fuzz target for two seconds
	FUZZTIME=2s scripts/fuzz.sh

.PHONY: cover
cover: setup ## Measure how much of the code the tests run; .build/coverage.html shows where
	scripts/postgres.sh go test -timeout $(TEST_TIMEOUT) -coverpkg ./cmd/...,./internal/... -coverprofile .build/coverage.out $(TEST)
	go tool cover -html .build/coverage.out -o .build/coverage.html
	go tool cover -func .build/coverage.out | tail -1

.PHONY: generate
generate: ## Make gen/ from proto/
	scripts/generate.sh

.PHONY: verify-generate
verify-generate: ## Fail when gen/ is not what proto/ makes
	scripts/generate.sh --verify

.PHONY: contract-freeze
contract-freeze: ## Make what proto/ says now the contract that nothing may break: for releases alone
	scripts/freeze.sh

.PHONY: quotes
quotes: ## Take anew the code that documents quote
	go -C tools run ./quotes -write ..

.PHONY: notices
notices: ## Write THIRD_PARTY_NOTICES anew, of what the gateway links
	scripts/notices.sh

.PHONY: lint
lint: ## Run all linters, and look for breaking changes of the API
	scripts/lint.sh

.PHONY: vuln
vuln: ## Look for known vulnerabilities
	scripts/vuln.sh

.PHONY: format
format: ## Format Go and proto files
	scripts/format.sh

.PHONY: setup
setup: ## Set up what tests and generators need, besides Go, Node.js and Python
	scripts/setup-apt.sh haproxy=haproxy
	scripts/setup-chromium.sh
	scripts/setup-node.sh
	scripts/setup-python.sh
