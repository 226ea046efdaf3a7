# Needs make and Python 3.11 or newer; everything else goes into .venv.
.DEFAULT_GOAL := help
.PHONY: help env demo demo-kinds dist test shuffled draws quick browser redis test-ui test-floors test-matrix lint check bench bench-oauth bench-report bench-sensors ui fmt chaos
.PHONY: constraints sets arguments catalogues clean security cluster test-cluster postgres

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PINS := $(VENV)/pins.txt
WHEELS := $(VENV)/wheels
BENCH := .venv-bench
SECURITY := .venv-security
RELEASE := .venv-release
CLUSTER := .venv-cluster
SITE := .venv-docs
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check

# The first of these that is new enough, and not newer than what constraints.txt has wheels for.
PYTHON ?= $(shell for candidate in python3.11 python3 python3.12 python3.13; do \
	$$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$candidate && break; done)

# pip leaves compiling to the first import, which must then be able to save what it compiled.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

env: $(INSTALLED) ## make .venv with Airflow and the tools, at the versions in constraints.txt

# Fetching takes longer than installing and is bound by the reading of index pages, so four pips fetch side
# by side what is not there yet. The last pip installs what constraints.txt should have had, if anything.
$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: install it, or say PYTHON=/path/to/it"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Making .venv with $$($(PYTHON) --version)"; \
		$(PYTHON) -m venv --clear $(VENV) || { echo "$(PYTHON) cannot make it; on Debian: apt install python3-venv"; exit 1; }; }
	@$(BIN)/python -m pip --disable-pip-version-check freeze --exclude-editable > $(VENV)/had.txt
	@grep -v '^#' constraints.txt | grep -vxFf $(VENV)/had.txt > $(PINS) || true
	@echo "Installing $$(grep -c . $(PINS)) packages; all of them take about half a minute"
	@rm -rf $(WHEELS)
	@{ { test ! -s $(PINS) || { \
		xargs -P 4 -n 40 $(PIP) download --no-deps --only-binary :all: --dest $(WHEELS) < $(PINS) \
		&& $(PIP) install --no-compile --no-deps --no-index --find-links $(WHEELS) --requirement $(PINS); }; } \
		&& $(PIP) install --no-compile --no-build-isolation --constraint constraints.txt --editable '.[dev]'; } \
		|| { echo "Not all of them fit here; pip finds what does, in a minute or two"; \
		$(PIP) install --constraint constraints.txt --editable '.[dev]'; }
	@rm -rf $(WHEELS)
	@touch $@

demo: env ## clean up a sandbox portal with a real Airflow, and check the result
	@$(BIN)/python -m scripts.demo

demo-kinds: env ## replace contacts on all kinds of owners of a sandbox portal, check them, and take it back
	@$(BIN)/python -m scripts.demo_kinds

ui: env ## start Airflow with the sample DAGs and two sandbox portals, until Ctrl-C; SPEAKS=ru: in Russian
	@SPEAKS=$(or $(SPEAKS),en) $(BIN)/python -m scripts.ui

dist: env $(RELEASE)/.installed ## build and check the wheel, the sdist, a bill of materials and their hashes into dist/
	@$(BIN)/python -m scripts.release $(RELEASE)/bin

SIDE_BY_SIDE := --numprocesses 4 --no-loadscope-reorder

# Four processes for two cores, as many tests wait; the tests of one file stay together, since they share what
# is costly to start, and the files that take longest come first.
test: env redis ## run the tests, but for those in a browser and those that install
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE)

# What one test leaves behind for another shows in some orders only. The seeds of what tests draw stay as they are.
SEED ?= $(shell date +%s)
shuffled: env redis ## run the same tests in another order; SEED=17: in the order of that seed
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -p randomly --randomly-dont-reset-seed --randomly-seed=$(SEED)

# The profile is registered in tests/conftest.py; the library's own option chooses it.
draws: env ## read 20,000 drawn answers, files and settings with each of their readers
	@$(BIN)/python -m pytest --numprocesses 3 --dist worksteal --hypothesis-profile=long -m drawn

# The rooms below the hooks know no Airflow.
ROOMS := $(addprefix tests/,core client crm engine files report sandbox)

# Types take one of two cores for half a minute, in which the tests go on.
quick: env redis ## lint, and the quick ones of the tests that need no Airflow; in a minute and a half
	@mkdir -p build
	@$(MAKE) --no-print-directory lint > build/lint.log 2>&1 & lint=$$!; echo "== pytest, the quick ones"; \
		$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m "not slow" $(ROOMS); tests=$$?; \
		wait $$lint; code=$$?; cat build/lint.log; test $$tests = 0 && exit $$code

test-ui: env browser docs ## run the tests in a browser, and those of the documentation; build/ui keeps pictures of the pages
	@rm -rf build/ui
	@UI_ARTIFACTS=build/ui $(BIN)/python -m pytest tests/ui
	@UI_ARTIFACTS=build/ui $(BIN)/python -m pytest tests/site

FLOORS ?= $(basename $(notdir $(wildcard tests/floors/sets/*.txt)))

# Two environments at a time, each with an Airflow of its own; what a process says comes when it has ended.
test-floors: env browser ## install and run the wheel beside older Airflows, in 6 minutes; FLOORS="3.2.0 3.3.1": beside those
	@$(BIN)/python -m pytest tests/floors/test_users.py
	@mkdir -p build/floors
	@printf '%s\n' $(FLOORS) | xargs -P 2 -I NAME sh -c ' \
		FLOORS=NAME $(BIN)/python -m pytest tests/floors/test_floors.py > build/floors/NAME.log 2>&1; \
		code=$$?; cat build/floors/NAME.log; exit $$code'

test-matrix: env redis ## run all tests but those in a browser beside each Airflow and Python; an hour or two
	@$(BIN)/python -m scripts.matrix

browser: ## install Chromium where it is missing; needs Debian, and root
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
		command -v apt-get >/dev/null && test "$$(id -u)" = 0 \
		|| { echo "Install Chromium; on Debian, as root: apt-get install chromium"; exit 1; }; \
		echo "Installing Chromium" && apt-get -qq update \
		&& DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium >/dev/null

redis: ## install the server of Redis where it is missing; needs Debian, and root
	@command -v redis-server >/dev/null && exit 0; \
		command -v apt-get >/dev/null && test "$$(id -u)" = 0 \
		|| { echo "Install redis-server; on Debian, as root: apt-get install redis-server"; exit 1; }; \
		echo "Installing redis-server" && apt-get -qq update \
		&& DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends redis-server >/dev/null

cluster: $(CLUSTER)/.installed postgres redis ## start Airflow on several hosts of this machine with PostgreSQL, Redis and S3, until Ctrl-C
	@$(CLUSTER)/bin/python -m scripts.cluster

test-cluster: $(CLUSTER)/.installed postgres redis ## run the clean-up on several hosts, and kill one of them; in 6 to 8 minutes
	@$(CLUSTER)/bin/python -m pytest tests/cluster

postgres: ## install the server of PostgreSQL where it is missing; needs Debian, and root
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && exit 0; \
		command -v apt-get >/dev/null && test "$$(id -u)" = 0 \
		|| { echo "Install PostgreSQL; on Debian, as root: apt-get install postgresql"; exit 1; }; \
		echo "Installing PostgreSQL" && apt-get -qq update \
		&& DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends postgresql >/dev/null

# It sees .venv, with Airflow and the tools, and holds in front of it what a cluster needs beside.
$(CLUSTER)/.installed: $(INSTALLED) constraints-cluster.txt
	@echo "Installing Celery and what speaks to PostgreSQL, Redis and S3 into $(CLUSTER)"
	@$(BIN)/python -m venv --clear --without-pip $(CLUSTER)
	@$(BIN)/uv pip install -q --no-deps --only-binary :all: --python $(CLUSTER)/bin/python --requirement constraints-cluster.txt
	@cd $(CLUSTER)/lib/python*/site-packages \
		&& echo "import site; site.addsitedir('$$(cd $(CURDIR) && $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
		> beside.pth
	@touch $@

lint: env ## check format, style, types and the direction of imports
	@echo "== ruff format" && $(BIN)/ruff format --check .
	@echo "== ruff check" && $(BIN)/ruff check .
	@echo "== mypy" && $(BIN)/mypy
	@echo "== lint-imports" && $(BIN)/lint-imports

# The tools live apart: what they need shall not meet what Airflow needs. Airflow writes its configuration where it
# is imported.
DRAWS ?= 20000
security: env $(SECURITY)/.installed ## attacks, rules about code, known faults of packages, 20,000 hostile answers; in 5 minutes
	@test -n "$(ATTACKED)" || { echo "== pytest, the attacks" && $(BIN)/python -m pytest $(SIDE_BY_SIDE) -m attack; }
	@echo "== bandit" && $(SECURITY)/bin/bandit -q -c pyproject.toml -r airflow_bitrix dags scripts
	@echo "== semgrep" && export SEMGREP_SEND_METRICS=off SEMGREP_ENABLE_VERSION_CHECK=0 PATH="$(CURDIR)/$(SECURITY)/bin:$$PATH" \
		&& semgrep scan --test --quiet security >/dev/null && semgrep scan --quiet --error --config security/rules.yml airflow_bitrix dags
	@echo "== pip-audit" && $(BIN)/python -m scripts.audit $(SECURITY)/bin/pip-audit
	@echo "== hostile answers" && mkdir -p build/fuzz && AIRFLOW_HOME=$(CURDIR)/build/fuzz NO_PROXY=127.0.0.1 \
		$(BIN)/python -m scripts.fuzz --draws $(DRAWS)

.venv-%/.installed: %/requirements.txt
	@echo "Installing the tools of $< into $(@D)"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip -qq --disable-pip-version-check install --requirement $<
	@touch $@

check: lint ## all that CI checks: lint, then all tests but the matrix
	@echo "== pytest"
	@$(MAKE) --no-print-directory test
	@echo "== the documentation"
	@$(MAKE) --no-print-directory docs
	@echo "== pytest, in a browser"
	@$(MAKE) --no-print-directory test-ui
	@echo "== pytest, beside older Airflows"
	@$(MAKE) --no-print-directory test-floors
	@echo "== pytest, on several hosts"
	@$(MAKE) --no-print-directory test-cluster
	@$(MAKE) --no-print-directory security ATTACKED=by-the-tests

# The reference comes from docstrings, for which .venv is imported behind the tools.
docs: env $(SITE)/.installed ## build the documentation in both languages into build/site, and refuse dead links and code that is none
	@$(SITE)/bin/python -m scripts.docs_site

pictures: env browser ## take the pictures of docs/images anew, in a browser
	@rm -rf build/pictures
	@UI_ARTIFACTS=build/pictures $(BIN)/python -m pytest -q tests/ui/test_first_steps.py
	@$(BIN)/python -m scripts.pictures build/pictures

bench: env redis $(BENCH)/.installed ## measure speed beside other clients, mostly waiting at the pace of portals; QUICK=1: in two minutes
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick)
	@test -n "$(QUICK)" || { $(BIN)/python -m benchmarks.sensors && $(BIN)/python -m scripts.oauth_race; }

chaos: env ## plan, apply, kill and restore on portals that answer wrongly, 200 of them; SEEDS=20: so many
	@$(BIN)/python -m scripts.chaos --seeds $(or $(SEEDS),200)

bench-report: env browser ## measure the report tab with 100,000 outcomes in a folder and on S3, in a browser; takes three minutes
	@$(BIN)/python -m benchmarks.report_tab

bench-oauth: env redis ## race twenty workers on four hosts for tokens that live ten seconds; takes 15 minutes
	@$(BIN)/python -m scripts.oauth_race

bench-sensors: env ## measure a thousand waiting tasks: requests, memory, how long they hold up the triggerer; takes five minutes
	@$(BIN)/python -m benchmarks.sensors

# The other clients live apart: what they need shall not meet what Airflow needs.
$(BENCH)/.installed: benchmarks/requirements.txt
	@echo "Installing the other clients into $(BENCH)"
	@$(PYTHON) -m venv --clear $(BENCH)
	@$(BENCH)/bin/python -m pip -qq --disable-pip-version-check install --requirement $<
	@touch $@

fmt: env ## format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

constraints: env ## write constraints.txt anew: the newest versions that fit together, and beside what users have
	@mkdir -p build
	@$(BIN)/python -c 'import pathlib, scripts.environments as made; made.write_room(pathlib.Path("build/room.txt"))'
	@$(PYTHON) -m venv --clear build/constraints
	@build/constraints/bin/python -m pip -qq --disable-pip-version-check install --constraint build/room.txt \
		--editable '.[dev]' editables
	@{ grep '^#' constraints.txt; build/constraints/bin/python -m pip freeze --exclude-editable; } > build/constraints.txt
	@mv build/constraints.txt constraints.txt
	@rm -rf build/constraints build/room.txt

sets: env ## write the versions anew that test-floors installs
	@$(BIN)/python -m scripts.environments

# Airflow writes its configuration where it is imported.
arguments: env ## write docs/arguments.md, settings.md and files.md anew, which are made from the code
	@AIRFLOW_HOME=$(CURDIR)/build/arguments $(BIN)/python -m scripts.argument_tables
	@AIRFLOW_HOME=$(CURDIR)/build/arguments $(BIN)/python -m scripts.reference_pages

catalogues: env ## gather the texts for people into the catalogues of each language, and compile these
	@$(BIN)/python -m scripts.catalogues

clean: ## remove .venv and everything that was made here
	@rm -rf $(VENV) $(BENCH) $(SECURITY) $(CLUSTER) $(SITE) .cluster .airflow .demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
