# Every target is a command or two; none hides anything that could not be run by hand.

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS   := -s -w -X github.com/yardarm-dev/yardarm/pkg/version.version=$(VERSION)
FUZZTIME  ?= 10s
BENCH     ?= .
SPOKES    ?= 10000
HOLD      ?= 10m
# Tools of code generation and lint have a module of their own.
TOOL      := go tool -modfile=proto/tools/go.mod
# lint: the commit that messages have to be compatible with; by default where the branch left main.
AGAINST   ?=

.PHONY: help
help: ## list the targets
	@echo "make TARGET; on a new machine, Go, git and make are enough; make test says what else it needs"
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r t about; do printf '  %-10s %s\n' "$$t" "$$about"; done

.PHONY: demo
demo: ## a hub and three real clusters on this machine (CHECK=1: unattended, and checked)
	@go build -o bin/demo ./e2e/demo && exec bin/demo $(if $(filter-out 0,$(CHECK)),-check)

.PHONY: test
test: ## everything: lint, unit tests with -race, end-to-end tests on real API servers
	@go run ./e2e/test $(if $(AGAINST),-against $(AGAINST))

# The dashboard's pages are embedded into the hub where npm is there to build them; a hub without them says so to a browser.
PAGES     := hub/dashboard/dist/index.html
$(PAGES): $(wildcard hub/dashboard/*.*) $(shell find hub/dashboard/src -type f)
	cd hub/dashboard && npm ci --no-audit --no-fund && npm run build && touch dist/index.html

.PHONY: build
build: $(if $(shell command -v npm),$(PAGES)) ## bin/yardarm, bin/yardarm-hub (with the dashboard's pages, where npm is there) and bin/yardarm-spoke
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./hub/cmd/yardarm ./hub/cmd/yardarm-hub ./spoke/cmd/yardarm-spoke

.PHONY: images
images: $(if $(shell command -v npm),$(PAGES)) ## dist/images: OCI layouts and archives for amd64 and arm64, without a container engine
	go run ./deploy/image -out dist/images -version $(VERSION)

.PHONY: generate
generate: ## Go, gateway and OpenAPI from proto/
	$(TOOL) buf generate --template proto/buf.gen.yaml

.PHONY: lint
lint: ## gofmt, vet, staticcheck, buf lint, buf breaking (AGAINST=COMMIT), generated code is current
	@go run ./e2e/test $(if $(AGAINST),-against $(AGAINST)) lint

.PHONY: e2e
e2e: ## only the end-to-end tests
	@go run ./e2e/test machine controlplanes e2e

.PHONY: screens
screens: $(PAGES) ## bin/screens: a picture of every screen of the dashboard, in both themes and at each size; and those of the README
	cd e2e/browser && npm ci --no-audit --no-fund
	SCREENS=$(CURDIR)/bin/screens README=$(CURDIR)/docs/images go test -count=1 -run 'TestScreens|TestMany' ./e2e/browser

.PHONY: e2e-node
e2e-node: ## hub and spokes by their charts on real nodes of this machine; needs root, and Debian's packages, which it installs
	@go run ./e2e/test node

.PHONY: bench
bench: $(PAGES) ## a fleet of SPOKES, 10000 by default, against its floors; writes bench/ (HOLD=10m: how long all are to stay); one spoke beside kubectl
	cd e2e/browser && npm ci --no-audit --no-fund
	go run ./e2e/fleetsim -scenario all -spokes $(SPOKES) -hold $(HOLD) -out bench
	go run ./e2e/spokebench

.PHONY: microbench
microbench: ## store commits and manifest canonicalization (BENCH=PATTERN)
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./hub/store ./pkg/manifest

.PHONY: fuzz
fuzz: ## each fuzz test for FUZZTIME, 10s by default
	@go run ./e2e/test -fuzztime $(FUZZTIME) fuzz
