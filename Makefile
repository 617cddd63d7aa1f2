# Everything happens in .venv; nothing outside this folder is touched.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
SEEDS ?= 300
WORKERS ?= 2

.PHONY: install install-dev demo docs determinism test test-system chromium compose simulate replay prove prove-seeds prove-planted \
  prove-kills prove-crashes prove-hubs prove-laws bench lint lock sbom audit-dependencies clean

# Where PYTHON is asked for by name, an environment made with another one is made anew.
ifneq ($(origin PYTHON),file)
ifneq ($(shell test -x $(BIN)/python && $(BIN)/python -V),$(shell $(PYTHON) -V 2>&1))
.PHONY: .venv/.locked
endif
endif

install: .venv/.installed

install-dev: .venv/.installed-dev

demo: .venv/.installed
	$(BIN)/syncd demo $(ARGS)

# The pages and the dashboard that are made from the code.
docs: .venv/.installed-dev
	$(BIN)/python docs/write.py
	$(BIN)/python deploy/grafana/write.py

# Whether one seed is one run: before anything else, for what cannot be played again proves nothing.
determinism: .venv/.installed-dev
	$(BIN)/pytest tests/simulation/test_determinism.py

# Any user may run this: no root, no service, no system package.
test: .venv/.installed-dev
	$(MAKE) --jobs 2 lint determinism
	SEEDS=$(SEEDS) CRASHES_EACH=18 $(BIN)/pytest -n $(WORKERS) --dist worksteal -r fE --durations 10 --ignore tests/system \
	  --ignore tests/simulation/test_determinism.py --ignore tests/simulation/test_swarm_found.py

# Whole processes over real sockets with kills, all crash points, the image's steps, the page in a browser, the alerts under Prometheus.
test-system: .venv/.installed-dev .venv/debian/.prometheus chromium compose
	EXPLORE=all $(BIN)/pytest -n $(WORKERS) --dist worksteal -r fE --durations 3 tests/system tests/simulation/test_crashes.py \
	  tests/simulation/test_crash_scenarios.py tests/simulation/test_store_failures.py tests/simulation/test_swarm_found.py \
	  tests/unit/test_errands.py tests/unit/test_intents_explored.py --ignore tests/system/test_each_as_hub.py

simulate: .venv/.installed-dev
	SEEDS=$(SEEDS) $(BIN)/pytest -n $(WORKERS) --dist worksteal tests/simulation/test_core.py tests/simulation/test_swarm.py \
	  tests/simulation/test_swarm_found.py

replay: .venv/.installed-dev
	@test -n "$(SEED)" || { echo 'Which run? For instance: make replay SEED=42'; exit 2; }
	SEED=$(SEED) $(BIN)/pytest --verbose tests/simulation/test_core.py tests/simulation/test_swarm.py

# The long runs: hours, not minutes. What most often finds something comes first, and each part can be run alone.
prove: prove-seeds prove-planted prove-kills prove-crashes prove-hubs prove-laws

prove-seeds: .venv/.installed-dev
	TRACES=50 $(BIN)/pytest tests/simulation/test_determinism.py
	$(MAKE) simulate SEEDS=20000

prove-planted: .venv/.installed-dev
	HUNT=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal tests/simulation/test_planted.py

prove-kills: .venv/.installed-dev
	KILLS=100 BURST=10000 $(BIN)/pytest --capture no tests/system/test_kills.py tests/system/test_recovery.py \
	  tests/system/test_stale_owner.py tests/system/test_hostile_senders.py
	$(BIN)/python benchmarks/webhook.py steady

prove-crashes: .venv/.installed-dev
	CRASHES=moments PAIRS_EACH=1 STOPS_EACH=1 STATEMENTS_EACH=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal \
	  tests/simulation/test_crash_scenarios.py tests/simulation/test_store_failures.py

prove-hubs: .venv/.installed-dev
	SYNCD_SEEDS=1,2,3,4,5 $(BIN)/pytest -n $(WORKERS) tests/system/test_each_as_hub.py tests/system/test_end_to_end.py

prove-laws: .venv/.installed-dev
	HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest -n $(WORKERS) --dist worksteal tests/unit/test_openapi.py tests/*/test_contract.py \
	  -k "whatever_is_sent or whatever_is_answered or verify_gives"
	HYPOTHESIS_PROFILE=prove $(BIN)/pytest -n $(WORKERS) --dist worksteal -m hypothesis tests --ignore tests/simulation --ignore tests/system
	HYPOTHESIS_PROFILE=prove EACH=1 CASES=1000000 EXPLORE=people FORGET_STEPS=10000 $(BIN)/pytest -n $(WORKERS) --dist worksteal \
	  tests/unit/test_merging_exhausted.py tests/unit/test_intents_explored.py tests/unit/test_forget.py

bench: .venv/.installed-dev
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

lint: .venv/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint Dockerfile

.venv/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("syncd needs Python 3.11 or newer, and $(PYTHON) is %d.%d. Name a newer one: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo 'This Python cannot make an environment. On Debian and Ubuntu: apt install python3-venv'; exit 1; }
	@echo 'Installing what syncd needs into .venv (about half a minute) ...'
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements.lock
	@touch $@

.venv/.installed: .venv/.locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.installed-dev: requirements-dev.lock .venv/.locked | .venv/.installed
	@echo 'Installing what its tests need ...'
	@$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements-dev.lock
	@touch $@

# The browser that looks at the page: Debian's, which root gets here; anybody else installs one beforehand.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
	  echo 'Installing Chromium from Debian ...' && apt-get -qq update && \
	  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium fonts-dejavu-core >/dev/null; }

# What reads deploy/compose.yaml: Debian's, which needs no Docker for that; root gets it here, as the browser.
compose:
	@command -v docker-compose >/dev/null || { \
	  echo 'Installing docker-compose from Debian ...' && apt-get -qq update && \
	  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends docker-compose >/dev/null; }

# Debian's Prometheus and what its page is drawn with, unpacked beside the rest: nothing is installed, no service runs,
# and root is not needed where apt's lists are there already.
PROMETHEUS := prometheus libjs-bootstrap4 libjs-d3 libjs-eonasdan-bootstrap-datetimepicker libjs-jquery libjs-jquery-hotkeys \
  libjs-moment libjs-moment-timezone libjs-mustache libjs-popper.js libjs-rickshaw
.venv/debian/.prometheus: | .venv/.installed-dev
	@echo 'Fetching Prometheus from Debian ...'
	@rm -rf .venv/debian && mkdir -p .venv/debian
	@cd .venv/debian && (apt-get -qq download $(PROMETHEUS) || { apt-get -qq update && apt-get -qq download $(PROMETHEUS); })
	@cd .venv/debian && for package in *.deb; do dpkg-deb -x "$$package" . && rm "$$package"; done
	@touch $@

# The locks name exact versions and hashes, and no index, and are installed as they stand, without asking what else a
# package declares. LEFT_OUT is what rich (for Markdown, code and tracebacks) and cffi (for compiling) declare and what
# syncd never comes to: tests/system/test_image.py runs it without. The second lock holds the first.
LEFT_OUT := markdown-it-py mdurl pycparser pygments
UV := .lock-venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock:
	$(PYTHON) -m venv --clear .lock-venv
	.lock-venv/bin/pip install --disable-pip-version-check --quiet uv
	$(UV) --upgrade --extra build $(LEFT_OUT:%=--no-emit-package %) pyproject.toml -o requirements.lock
	$(UV) --upgrade --extra build --extra dev --constraint requirements.lock pyproject.toml -o requirements-dev.lock
	$(UV) --upgrade --no-annotate supply/audit.in -o supply/audit.lock
	rm -r .lock-venv

# What is inside, in CycloneDX: the same lock gives the same bytes.
sbom:
	@$(PYTHON) supply/sbom.py > sbom.cdx.json
	@echo 'sbom.cdx.json is written.'

# Whether anything is known against the wheels of the lock. It asks the package index, and keeps the answer with its day.
audit-dependencies:
	@$(PYTHON) -m venv --clear .audit-venv
	@.audit-venv/bin/pip --disable-pip-version-check --quiet install --no-deps --require-hashes --only-binary :all: -r supply/audit.lock
	@$(PYTHON) supply/audit.py .audit-venv/bin/pip-audit

clean:
	rm -rf .venv .lock-venv .audit-venv sbom.cdx.json build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
