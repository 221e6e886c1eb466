VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BUILD    = CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

build: ## build bin/tandem, one static binary
	$(BUILD) -o bin/tandem ./cmd/tandem

run: build ## a proxy with two built-in example servers on 127.0.0.1:8080 (no root)
	./bin/tandem run --example

demo: build ## the pair under traffic, failovers measured (root)
	./bin/tandem demo

demo-active-active: build ## two VIPs, both nodes serve, and each backs the other (root)
	./bin/tandem demo --active-active

demo-faults: build ## a server fails in one way after another, under traffic (root)
	./bin/tandem demo --faults

test: ## gofmt, vet, all tests and some fuzzing (root for those in network namespaces)
	./scripts/test

lint: ## golangci-lint with .golangci.yml, and govulncheck
	./scripts/lint

bench: ## failover beside keepalived and haproxy (root), and the simulation's speed
	./scripts/bench/failover.sh
	./scripts/bench/simulation.sh

bench-http: ## the HTTP path beside HAProxy and nginx
	./scripts/bench/http.sh

bench-l4: ## TCP beside HAProxy
	./scripts/bench/l4.sh

bench-udp: ## UDP beside nginx
	./scripts/bench/udp.sh

bench-tls: ## TLS beside HAProxy, and resumption after a failover (root)
	./scripts/bench/tls.sh

soak: ## simulated nodes through random faults for a while (DURATION=10m)
	./scripts/soak

fuzz: ## every fuzz target for a while (FUZZTIME=30s)
	./scripts/fuzz

.PHONY: help build run demo demo-active-active demo-faults test lint bench bench-http bench-l4 bench-udp bench-tls soak fuzz
.DEFAULT_GOAL := help
