# `make demo` and `make test` do all set-up; nothing else has to be installed first (see scripts/setup).

export CARGO_TARGET_DIR ?= $(HOME)/.cache/tintype/target
TINTYPE := $(CARGO_TARGET_DIR)/release/tintype

.PHONY: demo test check build bench-peers setup setup-test

demo: build ## Draw a data set, train, package, evaluate and serve it
	$(TINTYPE) demo $(DEMO_ARGS)

build: setup ## The release binary
	cargo build --release --locked -p tintype

test: setup-test ## All tests
	scripts/test

check: setup ## Formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

bench-peers: build ## tintype beside other servers, in 25 minutes: writes docs/performance.md (ARGS='--models resnet50 --rounds 1' narrows it)
	cargo build --release --locked -p tintype-core -p tintype-server --example prepare --example echo
	PYTHONDONTWRITEBYTECODE=1 $$(benches/peers/setup) benches/peers/run.py --tintype $(TINTYPE) --examples $(dir $(TINTYPE))examples $(ARGS)

setup: ## What building and running need
	@scripts/setup build

setup-test: ## What testing needs on top
	@scripts/setup test
