# Every target has one line of description behind "##"; `make` alone prints them.
.DEFAULT_GOAL := help
GO      ?= go
TAG     := $(shell git describe --tags --exact-match 2>/dev/null)
COMMIT  := $(shell git rev-parse --short=10 HEAD 2>/dev/null)
LDFLAGS := $(if $(TAG),-X main.version=$(TAG)) $(if $(COMMIT),-X main.commit=$(COMMIT))
BENCH   ?= .

.PHONY: help build test race lint bench demo clean

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

clean: ## remove what the other targets made
	rm -rf bin

help: ## print this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
