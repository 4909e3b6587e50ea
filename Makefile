# The interpreter that .venv is made from; any Python from 3.11 on.
PYTHON ?= $(shell python3.11 -c "print('python3.11')" 2>/dev/null || echo python3)
# Further options for pip, such as another index or a folder of wheels.
PIP_ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/installed

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-long test-faults lint clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## */\t/' | expand -t 8

venv: $(INSTALLED)  ## .venv with the pinned versions and the package, editable (PYTHON=, PIP_ARGS=)

$(INSTALLED): requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('bayes_pref needs Python 3.11 or newer: make venv PYTHON=path/to/python')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_ARGS) --requirement requirements.lock
	$(BIN)/python -m pip install $(PIP_ARGS) --no-build-isolation --no-deps --editable .
	$(BIN)/python -m pip check
	@touch $@

demo: venv  ## a fit of a small simulated world, beside its truth; plots in demo/
	$(BIN)/bayes-pref demo --overwrite

# Two workers use two cores: more threads within a worker would slow both down.
test test-long test-faults: export OMP_NUM_THREADS = 1
test test-long test-faults: export OPENBLAS_NUM_THREADS = 1

test: venv  ## all tests but the longest, doctests and notebooks
	$(BIN)/python -m pytest -m "not long" --numprocesses=2 --dist=loadfile --no-loadscope-reorder --durations=15

test-long: venv  ## the longest tests: calibration of every sampler and choice model, case studies
	$(BIN)/python -m pytest -m long --numprocesses=2 --dist=worksteal --durations=15

test-faults: venv  ## the whole sweeps over damage, hostile input and labels, and their counts
	@counts=$$(mktemp); BAYES_PREF_FAULTS=whole BAYES_PREF_FAULTS_COUNTS=$$counts \
	$(BIN)/python -m pytest tests/faults -m "" --numprocesses=2 --dist=worksteal --durations=15; \
	status=$$?; sort $$counts; rm -f $$counts; exit $$status

lint: venv  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## remove the files of the tools, and .venv
	rm -rf .venv build dist demo *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache
	find bayes_pref tests -name __pycache__ -type d -prune -exec rm -rf {} +
