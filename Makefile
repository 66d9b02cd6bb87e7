# make bench   measure convolution, pooling and matmul of real networks on this machine
# make test    run the tests
# make test-slow   train the examples until they reach their figures, and compile and test every combination of which
#                  make test takes a part: many minutes
# make check   run the linters: ruff, clang-format, mypy, import contracts
# make format   format Python and CUDA files as `make check` wants them
# make gpu-check   on a machine with a GPU: check and measure everything that needs one, into benchmarks/results/
# make mutation   remove every barrier of the CUDA kernels by itself, and see whether a test notices
# make test-oldest   run the tests on the oldest Python, NumPy and Numba that are promised (PYTHON310=python3.10)
#
# Each makes .venv first, with what it needs. Nothing but Python >= 3.10 has to be installed.

PYTHON ?= python3
PYTHON310 ?= python3.10
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# Each worker begins with a run of neighbours, which need the same loops: two that take turns would compile them twice.
WORKERS := -n auto --dist worksteal

CUDA_FILES := find kernels tests -name '*.cu' -o -name '*.cuh' -o -name '*.h' -o -name '*.cpp'

.PHONY: format bench test check gpu-check mutation test-oldest test-slow clean

bench: $(VENV)/bench.installed
	$(BIN)/deepcore bench ops

test: $(VENV)/test.installed
	@[ -n "$$DEEPCORE_TEST_HOME" ] || \
		echo "Most of this run is compiling. DEEPCORE_TEST_HOME=<folder> keeps what it builds for the next one."
	$(BIN)/python -m pytest $(WORKERS)

test-slow: $(VENV)/test.installed
	$(BIN)/python -m pytest $(WORKERS) -m slow

check: $(VENV)/check.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# Wherever a kernel or the emulator's C++ lies; `make format` writes what this wants.
	$(CUDA_FILES) | xargs $(BIN)/clang-format --dry-run --Werror
	@# The floors are checked on an installed copy, where kernels/ and benchmarks/ lie inside the package.
	rm -rf build/installed
	$(PIP) install --no-deps --no-build-isolation --target build/installed .
	rm -rf build/lib build/bdist.*
	MYPYPATH=build/installed $(BIN)/mypy -p deepcore
	cd build/installed && PYTHONPATH=. $(abspath $(BIN))/lint-imports --no-cache --config ../../setup.cfg

format: $(VENV)/check.installed
	$(BIN)/ruff format .
	$(CUDA_FILES) | xargs $(BIN)/clang-format -i

# Finds a Python that has CuPy by itself: .venv, or the machine's own where there is no network to make one with.
gpu-check:
	@$(PYTHON) benchmarks/gpu_check.py $(if $(OUTPUT),--output $(OUTPUT)) $(if $(REHEARSE),--rehearse)

mutation: $(VENV)/test.installed
	$(BIN)/python tests/cuda/mutation.py

test-oldest:
	$(MAKE) test VENV=.venv-oldest PYTHON=$(PYTHON310) CONSTRAINT="--constraint tests/oldest.txt"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "deepcore needs Python >= 3.10; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/bench.installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing deepcore into $(VENV) ..."
	$(PIP) install $(CONSTRAINT) --editable .
	@touch $@

$(VENV)/%.installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing deepcore[$*] into $(VENV) ..."
	$(PIP) install $(CONSTRAINT) --editable '.[$*]'
	@touch $@

clean:
	rm -rf $(VENV) .venv-oldest build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
