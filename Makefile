# make run    two sites on this machine, until Ctrl-C
# make demo   calls, the loss of a site, calls: by itself, with SIPp phones and a SIPp gateway
# make test   everything that must pass; installs its own tools
# make lab    three drills on two sites in networks of their own, whose cables are pulled; reports in target/lab
# make lab-ha primary, backup and witness under load, the primary killed, stopped, cut off: N=5000 calls, CALLS=100 a second
# make load   200 calls a second for 60 s through both sites
# make fuzz   arbitrary bytes against the parsers and a whole node, SECONDS=60 each; findings in target/fuzz/found
# make soak   random histories with faults in the simulator, for MINUTES=10
# make properties   the tests again, property tests with CASES=1000 cases each that nobody has seen before

TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),$(CURDIR)/target)
TANDEM := $(TARGET)/release/tandem
TOOLS  := tests/e2e/tools.sh
DENY   := $(TARGET)/tools/bin/cargo-deny
MINUTES := 10
SECONDS := 60
CASES   := 1000
export TANDEM

.PHONY: help build run demo test format lint unit deny fuzz e2e plays lab lab-ha load soak properties

help:
	@sed -n 's/^# make/make/p' Makefile

build:
	@sh $(TOOLS) cc
	cargo build --release --locked -p tandem

run: build
	@exec sh tests/e2e/two_sites.sh $(TANDEM)

demo: build
	@sh $(TOOLS) sipp python3
	@PYTHONDONTWRITEBYTECODE=1 python3 tests/e2e/demo.py

# From nothing, incremental builds gain no time, and they take more disk than everything else.
test: export CARGO_INCREMENTAL := 0
# The tests run nine times as fast so, with every check of the debug build. They build the server of the plays, too.
test: export CARGO_PROFILE_DEV_OPT_LEVEL := 1
test: export TANDEM := $(TARGET)/debug/tandem
test: format unit benches deny fuzz plays
	@echo "make test: everything passed"

lint: format
	cargo clippy --workspace --all-targets --locked -- -D warnings

format:
	cargo fmt --all --check

# Clippy's compiler warns and builds at once: a check of its own would take as long as the build.
LINTED := CLIPPY_ARGS=-Dwarnings RUSTC_WORKSPACE_WRAPPER=clippy-driver

# Property tests draw the same cases each time, so that what fails is what has changed; `make properties` draws new ones.
unit: export PROPTEST_RNG_SEED := 20240229
unit:
	@sh $(TOOLS) cc
	$(LINTED) cargo test --workspace --locked --no-fail-fast

# Tests do not build them; that they build, and without a warning, is part of the test.
benches:
	$(LINTED) cargo build --workspace --benches --locked

# Licences, banned crates and sources. The advisories need a database from the network and are not part of the test.
deny: $(DENY)
	$(DENY) --all-features check licenses bans sources

# Built once and kept beside the other build products, unless this machine has it.
$(DENY):
	@mkdir -p $(dir $@)
	@if command -v cargo-deny >/dev/null; then ln -sf "$$(command -v cargo-deny)" $@; \
	else cargo install cargo-deny --version 0.20.2 --locked --debug --root $(TARGET)/tools; fi

fuzz:
	@sh $(TOOLS) cc g++
	@sh fuzz/run.sh $(SECONDS)

e2e: build plays

# With the binary that TANDEM names.
plays:
	@sh $(TOOLS) sipp python3 npm baresip linphonec kamailio sipsak rtpengine chromium nft ip unshare flock openssl
	@sh tests/e2e/all.sh

load: build
	@sh $(TOOLS) sipp python3
	@PYTHONDONTWRITEBYTECODE=1 python3 tests/e2e/load.py 60

# As many random histories as fit into MINUTES; the exit code is 1 if one broke a rule.
soak:
	@sh $(TOOLS) cc
	cargo run --release --locked -p tandem-sim -- --soak $(MINUTES)

# Every test, of which the property tests draw that many cases, other ones each time.
properties: export PROPTEST_CASES := $(CASES)
properties: export CARGO_INCREMENTAL := 0
properties: export CARGO_PROFILE_DEV_OPT_LEVEL := 1
properties:
	@case "$(CASES)" in ''|*[!0-9]*) echo "CASES is how many cases each property test draws, not '$(CASES)'" >&2; exit 2;; esac
	@sh $(TOOLS) cc
	$(LINTED) cargo test --workspace --locked --no-fail-fast

LAB := $(TARGET)/lab
lab: build
	@sh $(TOOLS) sipp python3 nft ip tc unshare nsenter
	@PATH="$$PATH:/usr/sbin:/sbin" PYTHONDONTWRITEBYTECODE=1 python3 tests/lab/lab.py $(LAB)

lab-ha: export N := $(if $(N),$(N),5000)
lab-ha: export CALLS := $(if $(CALLS),$(CALLS),100)
lab-ha: build
	@sh $(TOOLS) python3 nft ip unshare nsenter
	@PATH="$$PATH:/usr/sbin:/sbin" PYTHONDONTWRITEBYTECODE=1 python3 tests/lab/ha.py $(LAB)
