# `make demo` and `make test` need Python >= 3.11, a C compiler and make; they do the rest themselves.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
TOGETHER = --no-print-directory -j$(JOBS) $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
JOBS := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)

# ---- the virtual environment and the extension ----

FIND_PYTHON = for p in python3.13 python3.12 python3.11 python3 python; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done

# What the package needs, so that a newcomer's first proof does not wait for the linters, and what the checks need.
REQUIREMENTS = import tomllib; t = tomllib.load(open('pyproject.toml', 'rb')); p = t['project']

$(VENV)/.core: pyproject.toml
	@if [ ! -x $(PY) ]; then \
		python="$${PYTHON:-$$($(FIND_PYTHON))}"; \
		if [ -z "$$python" ]; then \
			echo "aprover needs Python 3.11 or newer; none of python3.13, 3.12, 3.11, python3 is. Set PYTHON to one that is." >&2; \
			exit 1; \
		fi; \
		echo "making $(VENV) with $$python"; \
		if ! "$$python" -m venv $(VENV); then \
			rm -rf $(VENV); \
			echo "$$python cannot make a virtual environment (Debian and Ubuntu: apt install python3-venv)." >&2; \
			exit 1; \
		fi; \
	fi
	@$(PY) -c 'import sys; sys.exit("$(VENV) holds Python older than 3.11; remove it first." if sys.version_info < (3, 11) else 0)'
	@echo "installing dependencies"
	@$(PY) -c "$(REQUIREMENTS); print(*t['build-system']['requires'], *p['dependencies'], sep='\n')" > $(VENV)/core.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check -r $(VENV)/core.txt
	@touch $@

$(VENV)/.stamp: $(VENV)/.core
	@echo "installing what the checks need"
	@$(PY) -c "$(REQUIREMENTS); print(*sum(p['optional-dependencies'].values(), []), sep='\n')" > $(VENV)/extras.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check -r $(VENV)/core.txt -r $(VENV)/extras.txt
	@touch $@

NATIVE_STAMP := build/native.stamp
ifeq ($(wildcard aprover/_native*.so),)
.PHONY: $(NATIVE_STAMP)
endif
$(NATIVE_STAMP): $(VENV)/.core setup.py build_ffi.py $(wildcard csrc/*.c csrc/*.h)
	@echo "building the extension"
	@mkdir -p build
	@$(PY) -m pip install --disable-pip-version-check --no-build-isolation --no-deps --editable . \
		> build/build.log 2>&1 || { cat build/build.log >&2; exit 1; }
	@touch $@

.PHONY: docs wheel-check soak bench-programs bench-aggregates help venv build demo test lint format pytest bench bench-engine bench-regret bench-policy bench-cache bench-peers bench-report soak-web clean
help:
	@echo "make demo      prove, verify and tamper: what this project does, in a minute"
	@echo "make test      lint, types, import rules, documentation, C tests, Python tests"
	@echo "make lint | ctest | pytest            parts of it"
	@echo "make format    lay out the Python source"
	@echo "make build     the virtual environment and the C extension, in place"
	@echo "make bench     sizes, kernels and engine, into docs/performance.md;  make cbench: the C kernels alone"
	@echo "make bench-peers     other provers beside this one;  PEERS=\"--sizes 5,10 --rounds 3\" for less"
	@echo "make bench-report    docs/performance.md again, from the figures of the last runs"
	@echo "make bench-engine    the engine's figures and targets;  BENCH=\"--quick hits naive\" for some of them"
	@echo "make bench-regret    the policy's regret with real work, in 20 minutes;  BENCH=\"--quick\" for less, \"--most 2 --minutes 600\" for all"
	@echo "make bench-policy | bench-cache    the policy on a virtual clock;  what another rule of the cache would save"
	@echo "make docs      the documentation as a site, in build/site"
	@echo "make wheel-check    the wheel, tried in a new environment of every CPython that is found"
	@echo "make soak      hundreds of proofs of random inputs, in minutes"
	@echo "make bench-aggregates    a statement in an aggregate and alone;  BENCH=\"256 --rounds 9\" for less"
	@echo "make bench-programs    the programs that ship, plain and zero-knowledge;  BENCH=\"Sha256 Sort\" for some"
	@echo "make soak-web  both web examples under load for a minute each;  SOAK=\"web_trio --seconds 10\" for less"
	@echo "make sanitize  the C tests under ASan and UBSan;  make valgrind: under valgrind;  make fuzz"
	@echo "make clean     remove what was built (not $(VENV))"

venv: $(VENV)/.stamp
build: $(NATIVE_STAMP)

demo: build
	@$(PY) -m aprover.cli.demo

# What does not need each other runs side by side; the Python tests take all cores by themselves.
test:
	@$(MAKE) $(TOGETHER) $(VENV)/.stamp build-ctests
	@$(MAKE) $(TOGETHER) build lint docs ctest
	@$(MAKE) --no-print-directory pytest

lint: $(VENV)/.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy aprover tests examples benchmarks build_ffi.py setup.py
	$(BIN)/lint-imports

format: $(VENV)/.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pytest: build venv
	$(PY) -m pytest -n $(JOBS) --dist worksteal -q $(PYTEST_ARGS)

bench: build venv
	@$(MAKE) --no-print-directory $(C_JOBS) FLAVOUR=bench build-cbenches
	$(PY) -m benchmarks.speed
	$(PY) -m benchmarks.kernels --programs build/c-$(notdir $(CC))-bench
	$(PY) -m benchmarks.engine --json > build/engine.jsonl
	@mv build/engine.jsonl benchmarks/results/engine.jsonl
	$(PY) -m benchmarks.report

# Needs cargo; builds outside of the checkout, in CARGO_TARGET_DIR or the folder for temporary files.
bench-peers: build venv
	$(PY) -m benchmarks.peers $(PEERS)
	$(PY) -m benchmarks.report

bench-report: build venv
	$(PY) -m benchmarks.report

bench-engine: build venv
	$(PY) -m benchmarks.engine $(BENCH)

bench-regret: build venv
	$(PY) -m benchmarks.engine_regret $(BENCH)

bench-policy: build venv
	$(PY) -m benchmarks.engine_policy $(BENCH)

bench-cache: build venv
	$(PY) -m benchmarks.engine_cache

# Warnings are errors. The links that the code's docstrings make are checked as well.
docs: $(VENV)/.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Needs git; takes some minutes for each Python that is found. PYTEST_ARGS="-k prove" for less.
wheel-check: $(VENV)/.stamp
	$(PY) tests/wheel_check.py $(PYTEST_ARGS)

bench-aggregates: build venv
	$(PY) -m benchmarks.aggregates $(BENCH)
	$(PY) -m benchmarks.report

# What takes too long for every run: hundreds of proofs of random inputs.
soak: build venv
	$(PY) -m pytest -n $(JOBS) -q -m soak tests

bench-programs: build venv
	$(PY) -m benchmarks.programs $(BENCH)
	$(PY) -m benchmarks.report

# Runs a server and its load on loopback, for some two minutes; Linux only.
soak-web: build venv
	$(PY) -m benchmarks.soak_web $(SOAK)

clean:
	rm -rf build dist *.egg-info aprover/_native.c aprover/_native*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache

# ---- the C tests: each tests/c/test_*.c is a program, linked with all of csrc/*.c ----

ifeq ($(origin CC),default)
CC := $(shell command -v gcc >/dev/null 2>&1 && echo gcc || echo cc)
endif
FLAVOUR := plain
C_WARN := -Wall -Wextra -Werror
# The tests of what ships, at -O3, are the Python ones. At -O2 all of C compiles in less than half the time.
C_FLAGS_plain := -O2 -g
C_FLAGS_bench := -O3 -g
C_FLAGS_sanitize := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
C_FLAGS := -std=gnu11 $(C_WARN) -Icsrc $(C_FLAGS_$(FLAVOUR))
C_DIR := build/c-$(notdir $(CC))-$(FLAVOUR)
C_OBJECTS := $(patsubst csrc/%.c,$(C_DIR)/csrc/%.o,$(sort $(wildcard csrc/*.c)))
C_TESTS := $(patsubst tests/c/%.c,$(C_DIR)/%,$(sort $(wildcard tests/c/test_*.c)))
C_BENCHES := $(patsubst tests/c/%.c,$(C_DIR)/%,$(sort $(wildcard tests/c/bench_*.c)))
C_RUN :=
# A make that runs jobs already shares them with those below it.
C_JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

$(C_DIR)/csrc/%.o: csrc/%.c
	@mkdir -p $(@D)
	@echo "$(CC) ($(FLAVOUR)) $<"
	@$(CC) $(C_FLAGS) -MMD -MP -c $< -o $@

$(C_DIR)/%: tests/c/%.c $(C_OBJECTS)
	@mkdir -p $(@D)
	@echo "$(CC) ($(FLAVOUR)) $<"
	@$(CC) $(C_FLAGS) -MMD -MP -MF $@.d $< $(C_OBJECTS) -lm -o $@

-include $(C_OBJECTS:.o=.d) $(C_TESTS:=.d) $(C_BENCHES:=.d)

.PHONY: ctest run-ctests build-ctests sanitize fuzz valgrind cbench run-cbenches build-cbenches
build-cbenches: $(C_BENCHES)

cbench:
	@$(MAKE) --no-print-directory FLAVOUR=bench run-cbenches

run-cbenches:
	@$(MAKE) --no-print-directory $(C_JOBS) build-cbenches
	@for b in $(C_BENCHES); do echo; echo "$$b"; $$b || exit 1; done

build-ctests: $(C_TESTS)

run-ctests:
	@$(MAKE) --no-print-directory $(C_JOBS) build-ctests
	@failed=0; for t in $(C_TESTS); do \
		$(C_RUN) $$t || { echo "FAILED: $$t" >&2; failed=1; }; done; \
	exit $$failed

ctest:
	@$(MAKE) --no-print-directory run-ctests CC=$(CC)
	@$(CC) -std=gnu11 $(C_WARN) -Icsrc -fsyntax-only $(wildcard tests/c/bench_*.c tests/c/fuzz_*.c)
	@if [ "$(CC)" != clang ] && command -v clang >/dev/null; then \
		echo "clang: warnings"; clang -std=gnu11 $(C_WARN) -Icsrc -fsyntax-only csrc/*.c tests/c/*.c; fi

sanitize:
	@for cc in gcc clang; do \
		if command -v $$cc >/dev/null; then \
			echo "$$cc with ASan and UBSan"; $(MAKE) --no-print-directory run-ctests CC=$$cc FLAVOUR=sanitize || exit 1; \
		else echo "$$cc is not installed: skipped"; fi; done

# Coverage-guided, for as long as one likes: make fuzz SECONDS=600. Needs clang with libFuzzer. Starts from honest proofs of each kind.
SECONDS := 60
FUZZ_FLAGS := -O1 -g -std=gnu11 -Icsrc -fsanitize=address,undefined -fno-sanitize-recover=all
fuzz: $(C_DIR)/fuzz_seeds
	@mkdir -p build/fuzz-corpus
	$(C_DIR)/fuzz_seeds build/fuzz-corpus
	clang $(FUZZ_FLAGS) -fsanitize=fuzzer tests/c/fuzz_verify.c $(sort $(wildcard csrc/*.c)) -lm -lpthread -o build/fuzz_verify
	build/fuzz_verify -max_total_time=$(SECONDS) -max_len=65536 -print_final_stats=1 build/fuzz-corpus

valgrind:
	@if command -v valgrind >/dev/null; then \
		$(MAKE) --no-print-directory run-ctests CC=$(CC) C_RUN="valgrind -q --error-exitcode=9 --leak-check=full"; \
	else echo "valgrind is not installed: skipped"; fi
