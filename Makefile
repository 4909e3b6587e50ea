# The interpreter that .venv is made from; any Python from 3.11 on.
PYTHON ?= $(shell python3.11 -c "print('python3.11')" 2>/dev/null || echo python3)
# Further options for pip, such as another index or a folder of wheels.
PIP_ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/installed
DOCS := .venv-docs
SITE := build/site

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-long test-faults lint docs docs-links docs-links-web clean

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

# Its packages come on top of those in .venv, which it sees and leaves as they are.
$(DOCS)/installed: docs/requirements.lock $(INSTALLED)
	$(BIN)/python -m venv --clear $(DOCS)
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> $$($(DOCS)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/below.pth
	$(DOCS)/bin/python -m pip install $(PIP_ARGS) --requirement docs/requirements.lock
	@touch $@

docs: $(DOCS)/installed  ## the documentation site in build/site; a warning is an error
	$(DOCS)/bin/python -m sphinx -W --keep-going -q -c docs -d build/doctrees . $(SITE)
	@echo "open $(SITE)/index.html"

docs-links: docs  ## whether all links within the site lead somewhere
	$(DOCS)/bin/python docs/check_links.py $(SITE)

docs-links-web: $(DOCS)/installed  ## whether all links to other sites do (needs the network)
	$(DOCS)/bin/python -m sphinx -b linkcheck -q -c docs -d build/doctrees . build/links

clean:  ## remove the files of the tools, and .venv
	rm -rf .venv .venv-docs docs/api build dist demo *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache
	find bayes_pref tests -name __pycache__ -type d -prune -exec rm -rf {} +
