# Every target has one line of description behind "##"; `make` alone prints them.
.DEFAULT_GOAL := help
GO      ?= go
TAG     := $(shell git describe --tags --exact-match 2>/dev/null)
COMMIT  := $(shell git rev-parse --short=10 HEAD 2>/dev/null)
LDFLAGS := $(if $(TAG),-X main.version=$(TAG)) $(if $(COMMIT),-X main.commit=$(COMMIT))
BENCH   ?= .
CHAOSFLAGS ?= -for 10m

.PHONY: help build test race lint bench demo chaos chaos-short clean

build: ## build bin/hive and bin/target
	$(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/ ./cmd/hive ./cmd/target

# The race detector allocates, so tests of allocations and memory run a second time without it.
test: ## run all tests, with the race detector on
	$(GO) test -race -timeout 20m ./...
	$(GO) test -run 'Alloc|Memory' ./engine/...

race: ## run all tests with the race detector, afresh and in a random order
	$(GO) test -race -count=1 -shuffle=on -timeout 20m ./...

lint: ## gofmt, go vet, staticcheck, and the test that holds the import arrows
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt is needed on:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test -count=1 -run '^TestArrows$$' .

bench: build ## Go's benchmarks (BENCH=name picks some), then whole processes beside k6 if it is on PATH
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...
	$(GO) build -trimpath -buildvcs=false -o bin/bench ./cmd/bench
	bin/bench $(BENCHFLAGS)

demo: build ## three nodes on this machine run a test together
	$(GO) build -trimpath -buildvcs=false -o bin/demo ./examples/demo
	bin/demo

chaos: build ## break hives for as long as CHAOSFLAGS says ('-for 1h -seed 42'), and check what the target saw; prints its seed
	$(GO) build -trimpath -buildvcs=false -o bin/chaos ./cmd/chaos
	bin/chaos $(CHAOSFLAGS)

chaos-short: ## the fixed cases of chaos that every change has to pass (8 minutes)
	@$(MAKE) --no-print-directory chaos CHAOSFLAGS='-suite short'

clean: ## remove what the other targets made
	rm -rf bin

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
