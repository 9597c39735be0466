# Everything a newcomer types. `make run` and `make test` set themselves up on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt
DATA ?= data
export PATH := $(CURDIR)/$(BIN):$(PATH)

SPEECH := /usr/share/asterisk/sounds/en_US_f_Allison/demo-echotest.g722=asterisk-core-sounds-en-g722
CHROMIUM := chromium=chromium
SOUNDS := /usr/share/asterisk/sounds
VOICES := $(SOUNDS)/ru_RU_f_IvrvoiceRU/demo-echotest.g722=asterisk-core-sounds-ru-g722 \
  $(SOUNDS)/it_IT_m_Carlo/demo-echotest.g722=asterisk-core-sounds-it-g722
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)
PEERS := turnserver=coturn murmurd=mumble-server libspeexdsp=libspeexdsp1
# Two at a time, a file in one of them, in the order of tests/conftest.py.
BESIDE := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help run test lint lab lab-smoke setup-lab check demo vectors soak bench format screens setup-run setup-test setup-demo clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: setup-run ## start the server with @echo, and say what to try next
	@$(BIN)/ringthrough up --data $(DATA)

demo: setup-demo ## messages and a call in network namespaces with all UDP blocked; the last line is JSON
	@$(AS_ROOT) $(BIN)/python -m lab.demo

lab: setup-lab ## every cell of the lab with every messenger: table, bench/results/lab.json, docs/charts (ONLY=, WITH=)
	@$(AS_ROOT) $(BIN)/python -m lab $(if $(ONLY),--only "$(ONLY)") $(if $(WITH),--with "$(WITH)") $(if $(RESUME),--resume)

lab-smoke: setup-demo ## calibrate the lab and play a few cells with ours
	@$(AS_ROOT) $(BIN)/python -m lab --smoke

test: setup-test ## set up what the tests need, and run all of them
	@$(MAKE) --no-print-directory vectors
	@echo "== mixed MLS groups: the Python core and ts-mls, in Node and in the browser"
	@$(BIN)/python tests/e2e/mls_soak/run.py
	@$(BIN)/python tests/e2e/mls_soak/run.py --browser --first-seed 11 --seeds 3
	@echo "== tests"
	@cd web && npm test --silent
	@$(BIN)/python -m pytest tests -m "not alone" $(BESIDE)
	@$(BIN)/python -m pytest tests -m alone

lint: setup-test ## format, types, the page's components, import rule
	@echo "== format and lint"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@echo "== types"
	@$(BIN)/mypy
	@cd web && npm run --silent build && npm run --silent check:page && npm run --silent test:page
	@echo "== import rule"
	@$(BIN)/lint-imports

check: lint ## lint, vectors, generated files, fast tests
	@$(MAKE) --no-print-directory vectors
	@echo "== fast tests and generated files"
	@cd web && npm test --silent
	@$(BIN)/python -m pytest tests -m "not slow" $(BESIDE)

vectors: setup-test ## the official vectors; the last line counts MLS
	@$(BIN)/python tests/e2ee/sframe_vectors.py
	@$(BIN)/python tests/e2ee/mls/vectors.py

soak: setup-test ## long random runs: MLS with ts-mls, kill -9 hundreds of times (SEEDS=, STEPS=, MEMBERS=)
	@$(BIN)/python tests/e2e/mls_soak/run.py --seeds $(or $(SEEDS),20) --steps $(or $(STEPS),100) --members $(or $(MEMBERS),20)
	@$(BIN)/python tests/e2e/mls_soak/run.py --browser --first-seed 101 --seeds $(or $(SEEDS),20) --steps $(or $(STEPS),100) --members $(or $(MEMBERS),20)
	@RINGTHROUGH_SOAK=1 $(BIN)/python -m pytest -o timeout=3600 tests/server/test_kill.py tests/e2e/test_kill.py

bench: setup-test setup-demo ## measure; writes bench/results/*.json and the README's table
	@$(BIN)/python -m bench && $(BIN)/python -m bench.readme

format: $(VENV)/dev.stamp ## put the sources into their format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

setup-run: $(VENV)/run.stamp web/dist/index.html
	@tools/packages.sh --optional libportaudio=libportaudio2 $(SPEECH)

setup-demo: $(VENV)/dev.stamp
	@tools/packages.sh ip=iproute2 nft=nftables sysctl=procps ethtool=ethtool $(SPEECH) $(VOICES)

setup-lab: setup-test setup-run $(VENV)/lab.stamp

# Opinions (PLCMOS) and words are measured where their packages install; without them a run says so.
$(VENV)/lab.stamp: $(VENV)/dev.stamp
	@echo "== Python packages of the lab"
	@$(PIP) -e '.[devices,direct,score,dev,plcmos,words]' || echo "PLCMOS or words will not be measured"
	@touch $@

setup-test: $(VENV)/dev.stamp web/node_modules/.stamp setup-demo
	@tools/packages.sh $(CHROMIUM) $(PEERS)

$(VENV)/bin/python:
	@echo "== Python environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "== Python packages"
	@$(PIP) -e '.[devices,direct]'
	@touch $@

# pesq is compiled on installation
$(VENV)/dev.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	@tools/packages.sh gcc=gcc $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h=python3-dev
	@echo "== Python packages, with those of the tests"
	@$(PIP) -e '.[devices,direct,score,dev]'
	@touch $@ $(VENV)/run.stamp

web/node_modules/.stamp: $(VENV)/bin/python web/package-lock.json web/package.json $(shell find web/patches -type f)
	@tools/node.sh $(VENV)
	@echo "== Node packages"
	@cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# The page that the server serves. Only what it is built from counts, not its tests.
web/dist/index.html: web/node_modules/.stamp web/index.html web/vite.config.ts $(shell find web/src web/public -type f 2>/dev/null)
	@echo "== the page"
	@cd web && npm run --silent build:page -- --logLevel error
	@touch $@

screens: setup-test ## every screen at 390 and 1280 pixels, light and dark, into docs/screens
	@$(BIN)/python -m web.test.ui.screens

clean: ## remove what the targets made, but no data
	rm -rf $(VENV) web/node_modules web/build web/dist demo-out lab-out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
