# Two commands from a fresh checkout: `make demo` and `make test`. Each sets up what it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin
# Some packages print a notice about their own internals while pip builds nothing: keep it quiet.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# What is compiled while vecpress is installed; a change asks for a new installation.
KERNEL := src/vecpress/kernel.c hatch_build.py

# The search page is built by npm; without npm there is none, and what needs it says so or is skipped.
PAGE := src/vecpress/page/index.html
PAGE_SOURCES := $(shell find web/src web/page web/assembly web/wasm -type f 2>/dev/null) \
	$(wildcard web/*.ts web/*.mjs) web/package.json
HAS_NPM := $(shell command -v npm 2>/dev/null)

.PHONY: demo test check web docs bench bench-encode bench-fit bench-search bench-scale bench-edge \
	bench-serve studies clean

demo: .venv/demo.stamp $(if $(HAS_NPM),$(PAGE))
	$(BIN)/vecpress demo --out demo-out

test: .venv/dev.stamp $(if $(HAS_NPM),$(PAGE))
	$(if $(HAS_NPM),cd web && npm test --silent)
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

check: .venv/dev.stamp $(if $(HAS_NPM),web/node_modules/.stamp)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check
	$(if $(HAS_NPM),cd web && npm run --silent check)

web: $(PAGE)

docs: .venv/dev.stamp
	$(BIN)/python docs/generate.py

bench: .venv/dev.stamp
	$(BIN)/python benchmarks/spine.py
	$(BIN)/python benchmarks/frontier.py

# Speed and memory against peers, some of which are installed for this alone: docs/performance.md.
bench-encode: .venv/bench.stamp
	$(BIN)/python benchmarks/encode.py

bench-fit: .venv/bench.stamp
	$(BIN)/python benchmarks/fit.py

bench-search: .venv/bench.stamp
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/ivf.py
	$(BIN)/python benchmarks/roofline.py

bench-scale: .venv/bench.stamp
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/memory.py

# The same questions asked of Python, onnxruntime, a browser and a server: docs/edge.md.
bench-edge: .venv/dev.stamp $(PAGE)
	$(BIN)/python benchmarks/edge.py

bench-serve: .venv/dev.stamp
	$(BIN)/python benchmarks/serve.py

studies: .venv/dev.stamp
	$(BIN)/python benchmarks/studies.py

clean:
	rm -rf .venv demo-out web/node_modules web/dist src/vecpress/page

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo.stamp: .venv/bin/python pyproject.toml constraints.txt $(KERNEL)
	@echo "Installing vecpress with its offline models into .venv (a minute or two) ..."
	$(PIP) -e '.[demo]'
	@touch $@

.venv/dev.stamp: .venv/bin/python pyproject.toml constraints.txt $(KERNEL)
	@echo "Installing vecpress with everything its tests need into .venv (a few minutes) ..."
	$(PIP) -e '.[dev]'
	@touch $@ .venv/demo.stamp

.venv/bench.stamp: .venv/dev.stamp
	$(PIP) -e '.[dev,bench]'
	@touch $@

web/node_modules/.stamp: web/package.json web/package-lock.json
	@echo "Installing what the search page is built with into web/node_modules ..."
	cd web && { npm ci --silent --no-audit --no-fund || npx --yes npm@11 ci --silent --no-audit --no-fund; }
	@touch $@

$(PAGE): web/node_modules/.stamp $(PAGE_SOURCES)
	cd web && npm run --silent build
	@touch $@
