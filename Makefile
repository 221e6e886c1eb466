VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BUILD    = CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' Makefile

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

container: build ## a container image of bin/tandem, with podman or docker
	./scripts/container/build $(VERSION)

lint: ## golangci-lint with .golangci.yml, and govulncheck
	./scripts/lint

package: ## dist/*.deb, *.rpm and *.tar.gz, for amd64 and arm64
	./scripts/package/build

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

bench-breaking-point: ## loads that grow until Tandem and HAProxy break, and twice as much (root)
	./scripts/bench/breaking-point.sh

soak: ## simulated nodes through random faults for a while (DURATION=10m)
	./scripts/soak

chaos: build ## random faults to a pair under traffic, its promises checked from outside (DURATION=10m SEED=, root)
	go run ./scripts/chaos -duration $(or $(DURATION),10m) -seed $(or $(SEED),0)

soak-load: ## a pair under load with reloads and failovers; memory, descriptors, goroutines (root; DURATION=30m)
	./scripts/bench/soak.sh

fuzz: ## every fuzz target for a while (FUZZTIME=30s)
	./scripts/fuzz

vagrant: build ## a pair, two servers and a client as virtual machines: docs/vagrant.md
	cd vagrant && vagrant up

vagrant-test: ## what a client feels when lb1 of them fails, in several ways
	./vagrant/failover-test.sh

.PHONY: $(shell awk -F: '/^[a-z0-9-]+:.*## / {print $$1}' $(MAKEFILE_LIST))
.DEFAULT_GOAL := help
