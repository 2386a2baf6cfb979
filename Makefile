# Everything runs in .venv, which is made on first use.
PYTHON ?= python3
BIN := .venv/bin
RUN := runs/xor-billiard

.DEFAULT_GOAL := help
.PHONY: help demo test lint studies clean

help:
	@echo "make demo      train XOR in a billiard and draw it (about two minutes)"
	@echo "make test      run the tests"
	@echo "make lint      check style and types"
	@echo "make studies   run the slow tests, every study and the benchmarks"
	@echo "make clean     remove .venv and what the tools leave behind; runs/ stays"

# The stamp is made last, so an installation that was broken off is done again.
.venv/stamp: pyproject.toml constraints.txt
	@echo "installing into .venv (a minute or two) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[mesh,dev]'
	@touch $@

.PHONY: .venv
.venv: .venv/stamp

demo: .venv/stamp
	$(BIN)/nepfield train studies/xor-billiard/study.toml --out $(RUN) --resume
	@echo "Pictures: $(RUN)/figures/    fields for ParaView: $(RUN)/fields.vtu    numbers: $(RUN)/summary.json"

test: .venv/stamp
	$(BIN)/python -m pytest -n 2

lint: .venv/stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy nepfield

studies: .venv/stamp
	$(BIN)/python -m studies
	$(BIN)/python -m pytest -m slow
	$(BIN)/python -m studies.speed

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find nepfield tests studies -name __pycache__ -type d -exec rm -rf {} +
