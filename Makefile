# What people and the CI call. `make` alone lists it.

# The server that the end-to-end tests run on: openbao or vault.
SERVER ?= openbao

# How many objects the benchmark makes.
OBJECTS ?= 1000

# How long the soak logs in, how often it kills, and its seed; one of the moment if there is none.
MINUTES ?= 10
KILLS ?= 200
SEED ?=

# How many seconds `make fuzz` throws at each target.
FUZZ ?= 600

CARGO_FLAGS ?= --locked
GROUND = cargo run $(CARGO_FLAGS) --quiet -p vaultbridge-e2e --bin ground --

.DEFAULT_GOAL := help
.PHONY: help demo dev test e2e lint components crds docs image e2e-node bench soak fuzz clean cargo build

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  SERVER=vault runs demo, dev, test, e2e and bench on HashiCorp Vault instead of OpenBao."

demo: build ## Watch it work on real servers: a Secret is made, changes, heals and goes
	@SERVER=$(SERVER) $(GROUND) demo

dev: build ## The same servers and the operator, left running for you to play with
	@SERVER=$(SERVER) $(GROUND) dev

test: cargo ## Prove everything: format, lints, dependencies, unit tests, end-to-end tests
	@SERVER=$(SERVER) e2e/phases.sh format lints dependencies unit fuzz components e2e

e2e: cargo ## Prove the promises on real servers only; TEST=words chooses tests by name
	@SERVER=$(SERVER) e2e/phases.sh components e2e

lint: cargo ## Check format, lints and dependencies only
	@e2e/phases.sh format lints dependencies

components: cargo ## Build the real servers once, into a cache outside the tree
	@$(GROUND) components cargo-deny etcd golden helm kubernetes kwok openbao postgres prometheus vault

crds: build ## Generate crds/ and the chart's copy of it from src/api
	@cargo run $(CARGO_FLAGS) --quiet -p vaultbridge -- crd --dir crds
	@cargo run $(CARGO_FLAGS) --quiet -p vaultbridge -- crd --dir deploy/chart/files/crds

image: cargo ## Build the container image, an OCI archive in target/image, without a Docker daemon
	@cargo run $(CARGO_FLAGS) --quiet -p vaultbridge-e2e --bin image

e2e-node: image ## Prove image and chart on a real node: a kubelet and containerd. Needs root
	@SERVER=$(SERVER) cargo test $(CARGO_FLAGS) -p vaultbridge-e2e --test node -- --nocapture

bench: cargo ## Measure, beside a bare writer of the same objects; OBJECTS=5000 for more
	@cargo build $(CARGO_FLAGS) --release -p vaultbridge -p vaultbridge-e2e --bin vaultbridge
	@SERVER=$(SERVER) cargo bench $(CARGO_FLAGS) -p vaultbridge-e2e --bench bench -- --objects $(OBJECTS)

soak: build ## Log in all the time, then kill the operator at random moments, and count what was lost; MINUTES=60 KILLS=1000 SEED=1
	@SERVER=$(SERVER) $(if $(SEED),VAULTBRIDGE_SEED=$(SEED)) cargo run $(CARGO_FLAGS) --quiet -p vaultbridge-e2e --bin soak -- --minutes $(MINUTES) --kills $(KILLS)

fuzz: cargo ## Throw texts that nobody would write at what reads texts of strangers; FUZZ=3600 seconds each, SEED=1
	@$(if $(SEED),VAULTBRIDGE_SEED=$(SEED)) FUZZ=$(FUZZ) e2e/phases.sh fuzz

clean: cargo ## Remove what was built here; the cache of the servers stays
	@cargo clean

docs: cargo ## Generate the pages of docs/ that are made from src
	@cargo run $(CARGO_FLAGS) --quiet -p vaultbridge --example docs
	@VAULTBRIDGE_WRITE_PAGES=1 cargo test $(CARGO_FLAGS) --quiet -p vaultbridge-e2e --test it -- chart::pages

build: cargo
	@cargo build $(CARGO_FLAGS) --workspace --bins

cargo:
	@command -v cargo >/dev/null || { echo "Rust is missing; get it from https://rustup.rs" >&2; exit 1; }
