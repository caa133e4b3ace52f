# make run    the pipeline on the sample, in an environment of its own
# make test   the test suite, Spark included      make test-long   the tests that take minutes
# make check  style, types, import rules, what the wheel holds
# make zip    dist/mdfs.zip, for spark-submit --py-files
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CORPUS := tests/sample/corpus
OUT ?= out

.PHONY: run test test-long test-local test-spark check format zip java clean

run: .venv/run
	$(BIN)/mdfs run --recipe yuan1 --output $(OUT) $(foreach file,$(sort $(wildcard $(CORPUS)/*)),--input $(file))

test: test-local test-spark

test-local: .venv/dev
	$(BIN)/python -m pytest -m "not spark and not long" --durations=10

# A classic Spark session and a Connect one do not mix in one process, so these run by themselves.
test-spark: .venv/dev java
	$(BIN)/python -m pytest -m "spark and not long" --durations=5

test-long: .venv/dev java
	$(BIN)/python -m pytest -m "long"

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/check_imports.py
	$(BIN)/python tests/check_wheel.py
	$(BIN)/python tests/sample/build.py --check

format: .venv/dev
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

zip: .venv/run
	$(BIN)/python -m mdfs.jobs.package dist/mdfs.zip

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "mdfs needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "mdfs needs Python 3.11 or newer, and $(PYTHON) is older: say make PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "$(PYTHON) cannot make a virtual environment: apt-get install python3-venv"; exit 2; }

.venv/run: setup.cfg pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable .
	@touch $@

.venv/dev: setup.cfg pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable ".[dev]"
	@touch $@ .venv/run

java:
	@java -version 2>&1 | grep -Eq 'version "(1[7-9]|[2-9][0-9])' || \
	  { command -v apt-get >/dev/null && test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless; } || \
	  { echo "Spark needs Java 17 or newer: apt-get install openjdk-17-jre-headless (as root), or brew install openjdk@17"; exit 2; }

clean:
	rm -rf .venv build dist out *.egg-info
