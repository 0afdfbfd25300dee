# Every target that CI runs, and the ones that help on a desk. Bare `make` prints them.

GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT         := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
VERSION               ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BINARY                ?= seamtag
FUZZTIME              ?= 10s
NPM_DIR               := internal/parts/npm
NPM_STAMP             := $(NPM_DIR)/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help build demo deps tools test drill lint fuzz cover bench lists screens man image clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build ./seamtag, static and stamped with the version
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X seamtag/cli.version=$(VERSION)' -o $(BINARY) .

demo: ## run the demo: no account, no Redis, no network needed
	go run . demo

deps: tools $(NPM_STAMP) ## install what the tests need (does nothing when all is there)

tools:
	@scripts/tools

# npm writes .package-lock.json last, so its age says whether node_modules fits the lock.
$(NPM_STAMP): $(NPM_DIR)/package-lock.json | tools
	cd $(NPM_DIR) && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

test: deps ## run every test with the race detector, against real servers
	go test -race -count=1 -shuffle=on -timeout 8m ./...

drill: deps ## pull every plug on real processes under load, write docs/drills.md (3 minutes)
	go test -count=1 -timeout 30m -parallel 4 -v ./drill -drill.all -drill.report=$(CURDIR)/docs/drills.md

lint: ## check format, vet, modules and golangci-lint (version pinned in this file)
	go vet ./...
	go mod tidy -diff
	go mod verify
	$(GOLANGCI_LINT) config verify
	$(GOLANGCI_LINT) run ./...
	cd bench && go vet -mod=mod ./...

fuzz: ## run every fuzz target for FUZZTIME (10s)
	@scripts/fuzz $(FUZZTIME)

cover: deps ## write coverage.out and print the coverage of each function
	go test -count=1 -timeout 8m -coverpkg=./... -coverprofile=coverage.out ./...
	go tool cover -func=coverage.out

bench: build ## compare with Echo, asynq and watermill side by side (8 min, quiet machine) and write docs/benchmarks.md
	cd bench && go build -mod=mod -o ../dist/bench .
	dist/bench -binary ./$(BINARY) -report docs/benchmarks.md

lists: ## measure lists and searches over a million events (6 min, 3 GB of memory) and write docs/lists.md
	cd bench && go build -mod=mod -o ../dist/lists ./lists
	dist/lists -report docs/lists.md

screens: deps ## take pictures of every page into docs/screens
	go test -count=1 -run '^TestEveryPageIsAccessible$$' ./cli -args -screens $(CURDIR)/docs/screens

man: ## write the manual page dist/seamtag.1
	@mkdir -p dist
	go run -ldflags '-X seamtag/cli.version=$(VERSION)' . manual > dist/seamtag.1

image: ## build the container image seamtag:VERSION
	docker build --build-arg VERSION=$(VERSION) -t seamtag:$(VERSION) .

clean: ## remove what the targets above wrote (never seamtag-data, which holds your events)
	rm -rf seamtag dist coverage.out $(NPM_DIR)/node_modules
