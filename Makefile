# The commands of this repository. `make` lists them.

CARGO ?= cargo
PYTHON := .tools/venv/bin/python
RUNS ?= 1000000
# The code is clean under this version. Others know other lints: theirs are shown, and fail nothing.
CLIPPY := clippy 0.1.95
# `make chaos` passes on what is set: MINUTES=5 or KILLS=200, SEED=7, NODES=3, GROUP_PROTOCOL=consumer …
CHAOS = $(if $(MINUTES),--minutes $(MINUTES)) $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED)) \
	$(if $(NODES),--nodes $(NODES)) $(if $(GROUP_PROTOCOL),--group-protocol $(GROUP_PROTOCOL)) \
	$(if $(DELIVERY),--delivery $(DELIVERY)) $(if $(MUTATION),--mutation $(MUTATION)) \
	$(if $(HOSTILE),--hostile $(HOSTILE)) $(if $(OUTAGES),--outages $(OUTAGES)) $(if $(RATE),--rate $(RATE)) $(if $(KEEP),--keep $(KEEP))

.DEFAULT_GOAL := help
PREFIX ?= $(HOME)/.cargo
.PHONY: help demo install test chaos outages lint fuzz differ bench evaluate kafka

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Show Tripline at work: embedded broker, bundled model, real attacks (no Java, no Docker)
	@scripts/setup build
	$(CARGO) run --no-default-features -- demo

install: ## Build with optimization and put tripline into PREFIX/bin (default ~/.cargo), with the ONNX Runtime that it needs
	@scripts/setup build
	$(CARGO) build --release
	install -D -m 755 target/release/tripline $(PREFIX)/bin/tripline
	install -D -m 644 .tools/onnxruntime/libonnxruntime.so $(PREFIX)/lib/tripline/libonnxruntime.so

test: ## Lint, then run every test, against a real Apache Kafka too
	@scripts/setup build
	@# Compiling takes the cores, and fetching takes the network: both at once. What fails here is said again below.
	@mkdir -p .tools; $(CARGO) test --no-run >.tools/first-build.log 2>&1 & scripts/setup test
	@$(MAKE) --no-print-directory lint
	$(CARGO) test
	$(PYTHON) tests/clients/selftest.py
	$(PYTHON) tests/clients/chaos_selftest.py
	$(PYTHON) scripts/evaluate/selftest.py
	$(PYTHON) tests/clients/onnx_check.py models/*/autoencoder.onnx
	scripts/check-k8s --selftest
	scripts/check-k8s

chaos: ## Kill, stop and cut off guards and brokers for MINUTES (default 1), then check every topic; the last line is JSON
	@scripts/setup test
	$(CARGO) test --test chaos -- $(CHAOS)

outages: ## Play every act on brokers and logs (retention, elections, topics made anew, brokers away); prints a table
	@scripts/setup test
	$(CARGO) test --test outages -- $(if $(MINUTES),--minutes $(MINUTES) $(if $(SEED),--seed $(SEED)),--all)
	$(if $(MINUTES),,$(CARGO) test --test broker brokers:: -- --include-ignored)

lint: ## Formatting, clippy, documentation, licences of dependencies; a part of make test
	$(CARGO) fmt --check
	@case "$$($(CARGO) clippy --version)" in \
	"$(CLIPPY) "*) strict="-D warnings" ;; \
	*) strict=""; echo "lint: this is not $(CLIPPY): warnings fail nothing" ;; \
	esac; \
	set -ex; \
	$(CARGO) clippy --all-targets -- $$strict; \
	RUSTDOCFLAGS="$$strict" $(CARGO) doc --no-deps
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny check bans licenses sources || exit 1; \
		if $(CARGO) deny fetch >/dev/null 2>&1; then $(CARGO) deny check advisories; \
		else echo "lint: advisories not checked, their database cannot be fetched"; fi; \
	else \
		echo "lint: licences not checked; for that: cargo install --locked cargo-deny"; \
	fi

fuzz: ## Fuzz every target in fuzz/, RUNS inputs each (default 1000000; needs nightly and cargo-fuzz)
	@scripts/setup build
	@$(CARGO) +nightly fuzz --version >/dev/null 2>&1 || { \
		echo "fuzz: rustup toolchain install nightly && cargo install --locked cargo-fuzz"; exit 1; }
	@set -e; for target in $$($(CARGO) +nightly fuzz list); do \
		echo "fuzz: $$target, $(RUNS) runs"; \
		mkdir -p fuzz/corpus/$$target fuzz/seeds/$$target; \
		$(CARGO) +nightly fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -runs=$(RUNS); \
	done

differ: ## Fuzz by difference: RUNS requests (default 1000000) read by us and by six real readers must come to the same rows
	@scripts/setup test
	RUNS=$(RUNS) $(CARGO) test --test readers differ -- --nocapture

bench: ## Measure throughput and latency on this machine
	@scripts/setup test
	$(CARGO) bench --profile dev

evaluate: ## Measure detection on the data sets in DATA and write docs/detection.md (ONLY=tables|nsl-kdd|fashion, SEEDS=1)
	@test -d "$(DATA)" || { echo "evaluate: make evaluate DATA=DIR, with adbench, nsl-kdd, fashion-mnist and fashion-attacks in it"; exit 2; }
	@scripts/setup evaluate
	$(CARGO) build --bin tripline
	.tools/venv-evaluate/bin/python scripts/evaluate $(DATA) $(if $(ONLY),--only $(ONLY)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(BACKDOORED),--backdoored $(BACKDOORED)) $(if $(WORK),--work $(WORK))

kafka: ## A real Kafka on 127.0.0.1:19092 to play with, until Ctrl-C; its data stays in .tools/kafka/play
	@scripts/setup test
	scripts/kafka/broker run --dir .tools/kafka/play --port 19092
