SHELL := /bin/bash
GO ?= go
# One set of flags for building, testing and linting, so that all share what is compiled.
export GOFLAGS := $(GOFLAGS) -trimpath
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
DATA ?= .bayplan
PORT ?= 8080
CLUSTER_PORT ?= 6443
SSH_PORT ?= 2222
LINT := bin/golangci-lint
# The end-to-end tests with more containers than a real node holds, or of images that nobody serves.
SIMULATED := ^TestE2E(Calls|ConsolePage|Review|TypeScript)

# The API server tells its clients this version.
KUBERNETES := $(shell sed -n 's/^\tk8s.io\/kubernetes \(v[0-9.]*\)$$/\1/p' deploy/devcluster/go.mod)
KUBEVERSION := k8s.io/component-base/version
CLUSTERFLAGS := -s -w -X $(KUBEVERSION).gitVersion=$(KUBERNETES) -X $(KUBEVERSION).gitMajor=$(word 1,$(subst ., ,$(KUBERNETES:v%=%))) -X $(KUBEVERSION).gitMinor=$(word 2,$(subst ., ,$(KUBERNETES))) -X $(KUBEVERSION).gitTreeState=clean

.PHONY: help
help: ## List the targets.
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: up
up: build ## Start everything: a cluster (NODE=real as root: with containers), the repository, the API; Ctrl-C ends it.
	BAYPLAN_NODE=$(or $(NODE),simulated) bin/bay up --data $(DATA) --listen 127.0.0.1:$(PORT) --cluster-port $(CLUSTER_PORT) --ssh-listen 127.0.0.1:$(SSH_PORT)

.PHONY: build bin/bay bin/devcluster
build: bin/bay bin/devcluster ## Build bin/bay and bin/devcluster.

bin/bay:
	@echo "building bay"
	@$(GO) build -ldflags "-s -w -X main.version=$(VERSION)" -o $@ ./cmd/bay

bin/devcluster:
	@[ -e $@ ] || echo "building the control plane: about five minutes the first time, seconds later"
	@cd deploy/devcluster && $(GO) build -ldflags "$(CLUSTERFLAGS)" -o ../../$@ .

.PHONY: test
test: build ## Run every test, against a real control plane.
	bin/devcluster run -- $(GO) test -race -count=1 -timeout 20m ./...
	cd deploy/devcluster && $(GO) test -count=1 -timeout 10m ./...
	cd bench && $(GO) test -count=1 ./...

.PHONY: e2e packages
e2e: build bin/gitea ## Run what needs more than Go: a real node (root, make packages), ssh, npm (Node.js 18), chromium.
	$(GO) test -tags e2e -run '^TestE2E' -count=1 -timeout 10m ./webhook/forge
	cd deploy/devcluster && $(GO) test -tags e2e -run '^TestE2E' -count=1 -timeout 10m ./...
	bin/devcluster run -- $(GO) test -tags e2e -run '$(SIMULATED)' -count=1 -timeout 30m ./cmd/bay
	bin/devcluster run --node real -- $(GO) test -tags e2e -run '^TestE2E' -skip '$(SIMULATED)' -count=1 -timeout 30m ./access/... ./cmd/bay

GITEA := code.gitea.io/gitea
bin/gitea: deploy/gitea/go.mod $(wildcard deploy/gitea/*.go)
	@echo "building a forge for the tests: about five minutes the first time"
	@cd deploy/gitea && $(GO) mod download $(GITEA) && $(GO) build -tags 'sqlite sqlite_unlock_notify' -ldflags "-s -w -X main.assets=$$($(GO) list -m -f '{{.Dir}}' $(GITEA))" -o ../../$@ .

packages: ## Install what a real node needs (Debian, as root).
	apt-get install -y -qq --no-install-recommends containerd runc containernetworking-plugins nftables iptables busybox-static slirp4netns

.PHONY: lint
lint: $(LINT) ## Run the linters.
	$(LINT) run ./...
	cd deploy/devcluster && ../../$(LINT) run --config ../../.golangci.yml ./...
	cd bench && ../$(LINT) run --config ../.golangci.yml ./...

$(LINT): tools/go.mod
	@echo "building the linters: some minutes the first time"
	@cd tools && $(GO) build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

generate: ## Write the generated files and golden files anew.
	$(GO) test ./schema ./render -update
	$(GO) test ./cmd/bay -run TestSpecPageIsTrue -update

.PHONY: generate fuzz
fuzz: ## Fuzz every target for FUZZTIME (default 30s).
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	  $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} $$p || exit 1; done; done

.PHONY: bench bench-smoke
bench: build ## Measure Bayplan beside other engines; BENCHFLAGS=-full for 10,000 containers.
	cd bench && $(GO) run . $(BENCHFLAGS)

bench-smoke: build ## Run the benchmark small: it must work and its end states be right.
	cd bench && $(GO) run . -smoke

.PHONY: clean
clean: ## Remove what was built and the data of `make up`.
	rm -rf bin $(DATA)
