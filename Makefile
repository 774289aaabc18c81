# What one needs: Python >= 3.11, pip and make. `make test` wants Java 17 and Maven beside them for the real broker,
# and Debian's rsyslog, rsyslog-kafka and waagent for the real input; where they are missing it says so and skips.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MARKER := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST_ARGS ?=
# As many processes as there are processors, up to four: beyond that the tests with a broker, which stay with one of them,
# are what one waits for. `JOBS=0` runs all in one.
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -lt 4 ] && echo $$n || echo 4)
SIDE_BY_SIDE := -n $(JOBS) --dist loadgroup --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install .venv test test-full check format demo score faults lock clean

help:
	@echo 'make install    the programs, into .venv (.venv/bin/leapwatch)'
	@echo 'make demo       the leap day of 2012, played at high speed on an embedded broker'
	@echo 'make check      ruff and mypy'
	@echo 'make test       check, and every test that takes less than minutes'
	@echo 'make test-full  check, and every test'
	@echo 'make score      every scenario, judged by its truth, in the sizes of their files'
	@echo 'make faults     workers and brokers killed in every way on a real Kafka: about a quarter of an hour'
	@echo 'make lock       requirements.lock anew from pyproject.toml (wants uv)'

install: .venv

.venv: $(MARKER)

# Hash-checked from the lock, build tools too, so that the last step needs no registry. The lock is whole, so nothing is
# resolved here (an older pip takes `coverage[toml]` for another project than the pinned `coverage`, and refuses the lock
# as soon as there is a newer one); `pip check` sees to it that nothing is missing. The marker is written last:
# an install that was interrupted is done again. Compiled here, for where PYTHONDONTWRITEBYTECODE is set nothing else does,
# and each worker would compile Faust anew: a second of the processor, half of its start. What cannot be compiled
# (examples, templates) is nothing that we import.
$(MARKER): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Python >= 3.11 is needed, and $(PYTHON) is %d.%d: make PYTHON=python3.11" % v[:2])'
	@test -x $(BIN)/python || { echo 'creating $(VENV)'; $(PYTHON) -m venv $(VENV); }
	@echo 'installing into $(VENV)'
	@$(PIP) install --no-deps --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(PIP) check
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib schemas detectors streams >/dev/null || :
	@touch $@

check: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: check
	$(BIN)/python -m pytest -m 'not slow' $(SIDE_BY_SIDE) $(PYTEST_ARGS)

test-full: check
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(PYTEST_ARGS)

# Java and Maven are wanted; the short forms of these tests are part of `make test`.
faults: .venv
	$(BIN)/python -m pytest tests/faults $(PYTEST_ARGS)

score: .venv
	@$(BIN)/leapwatch score

demo: .venv
	@$(BIN)/leapwatch demo

lock:
	uv pip compile --quiet --generate-hashes --universal --no-header --python-version 3.11 --extra dev \
		--output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .kafka .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
