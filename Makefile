# Every target with a comment behind two hashes appears in `make help`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

##@ Start here

.PHONY: demo
demo: ## A real cluster, the operator by helm, an McpServer, a tool call
	@hack/demo.sh

.PHONY: demo-down
demo-down: ## Take the demo's cluster down again
	@CLUSTER_NAME=mcp-demo e2e/cluster/cluster.sh down

.PHONY: run
run: prerequisites ## Serve examples/hello.yaml on this machine, without a cluster
	cargo run --package mcp-server -- serve --config examples/hello.yaml

.PHONY: deploy
deploy: prerequisites ## Deploy ENV=production (Docker Compose) or ENV=k8s, wait for health, roll back without it
	@cargo build --locked --package mcp-cli
	@"$${CARGO_TARGET_DIR:-target}/debug/kubectl-mcp" deploy $(call environment,deploy) $(DEPLOY_ARGS)

.PHONY: undeploy
undeploy: prerequisites ## Take ENV down again
	@cargo build --locked --package mcp-cli
	@"$${CARGO_TARGET_DIR:-target}/debug/kubectl-mcp" undeploy $(call environment,undeploy) $(DEPLOY_ARGS)

environment = '$(or $(ENV),$(error which environment? make $(1) ENV=production, or ENV=k8s; docs/deploy.md))'

.PHONY: test
test: ## Everything that must pass: format, lints, generated files, tests, charts, stories on a cluster
	@hack/test.sh

.PHONY: test-all
test-all: ## `make test`, and with a Docker engine: the Dockerfile, compose, kind with three nodes
	@hack/test-all.sh

##@ Parts of `make test`

.PHONY: prerequisites
prerequisites:
	@hack/prerequisites.sh

.PHONY: lint
lint: prerequisites ## Formatting, clippy and shell scripts; warnings are errors
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	@hack/lint-shell.sh

.PHONY: check-generated
check-generated: prerequisites ## Are the generated files up to date?
	cargo run --locked --package mcp-crds --bin crdgen -- --check

.PHONY: unit
unit: tools test-tools ## Tests that need no cluster (those of the charts use helm)
	@peers=$$(hack/peers.sh) && tools=$$(e2e/cluster/cluster.sh tools) && \
	  PATH="$$tools:$$PATH" MCP_TEST_PEERS="$$peers" cargo test --locked --workspace

.PHONY: test-tools
test-tools: ## What tests use besides: Redis, the Python SDK, the conformance suite; installed or fetched once
	@hack/prerequisites.sh test
	@hack/peers.sh > /dev/null

.PHONY: e2e
e2e: ## Stories on a real cluster, which is brought up and taken down
	@hack/e2e.sh

.PHONY: cluster-test
cluster-test: ## Does the local cluster leave anything behind on this machine? (needs root; else it says so)
	@e2e/cluster/test-static.sh
	@if [[ $$(id -u) == 0 ]] && [[ $$(uname -s) == Linux ]]; then e2e/cluster/test-teardown.sh; \
	else echo 'NOT RUN: the local cluster needs root on Linux'; fi

.PHONY: clients
clients: prerequisites ## Clients of ten other projects behind nginx, as a table (CLIENTS="'Go SDK'": some of them)
	@hack/clients.sh $(CLIENTS)

.PHONY: fuzz
fuzz: ## Each fuzz target for FUZZ_SECONDS (60); needs a nightly compiler and cargo-fuzz (`make unit` runs a short form)
	@hack/fuzz.sh

.PHONY: deny
deny: ## Licences, duplicate and banned dependencies (needs cargo-deny)
	cargo deny --all-features check bans licenses sources

##@ Speed

.PHONY: bench-server
bench-server: prerequisites ## The server beside the official Rust SDK: CPU per call, latency, memory (MCP_BENCH_QUICK=1: a look)
	@hack/bench.sh server $(BENCH_ARGS)

.PHONY: bench-instructions
bench-instructions: prerequisites ## Instructions of a call, held to the recorded ones (needs valgrind)
	@hack/bench.sh instructions $(BENCH_ARGS)

##@ Build

.PHONY: build
build: prerequisites ## The three programs, for this machine, in target/bin, and the manual pages of kubectl-mcp
	cargo build --locked --release --package mcp-operator --package mcp-server --package mcp-cli
	@release="$${CARGO_TARGET_DIR:-target}/release"; \
	ln -sf kubectl-mcp "$$release/mcp"; \
	"$$release/kubectl-mcp" man --dir "$$release/man"
	@hack/bin.sh release

.PHONY: image
image: prerequisites ## Both container images as archives, without any engine
	@hack/image.sh

.PHONY: generate
generate: ## The files made from code: the CRD, the chart's copy of it, the page of settings
	cargo run --package mcp-crds --bin crdgen

.PHONY: tools
tools: ## kubectl, helm and the parts of a cluster, built once into the user's cache
	@e2e/cluster/cluster.sh tools > /dev/null

##@ Parts of `make test-all` (where no Docker engine answers, root on Linux brings one up in namespaces of its own)

.PHONY: engine-up
engine-up: ## Bring it up, or find one that answers
	@e2e/engine/engine.sh up

.PHONY: engine-down
engine-down: ## End it; its images stay in the cache
	@e2e/engine/engine.sh down

.PHONY: engine-test
engine-test: ## Does an engine of our own leave anything behind on this machine? (needs root on Linux)
	@e2e/engine/test.sh

.PHONY: docker-build
docker-build: ## Both targets of the Dockerfile
	@hack/docker-build.sh

.PHONY: compose-test
compose-test: ## deploy/compose: the server alone, then with Redis, Prometheus, each query of the dashboard and each alert
	@hack/compose-test.sh

.PHONY: kind-test
kind-test: prerequisites ## The stories on a kind cluster of three nodes
	@hack/kind-test.sh

.PHONY: deploy-test
deploy-test: prerequisites ## kubectl-mcp deploys, changes, breaks and undeploys a server, on the engine and in a cluster
	@hack/deploy-test.sh

##@ A cluster of your own (CLUSTER_NAME, CLUSTER_PROVIDER=auto|kind|local|existing)

.PHONY: cluster-up
cluster-up: ## Bring it up; it never touches your kubectl context
	@e2e/cluster/cluster.sh up

.PHONY: cluster-down
cluster-down: ## Take it down; nothing stays behind
	@e2e/cluster/cluster.sh down

.PHONY: cluster-status
cluster-status: ## Is it up, and how is it used?
	@e2e/cluster/cluster.sh status || true

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
