.PHONY: install test test-fast lint format types imports docs check bench pretrained build
PYTHON ?= python

install:
	$(PYTHON) -m pip install -e '.[all]' --group dev

test:
	$(PYTHON) -m pytest -q

test-fast:
	$(PYTHON) -m pytest -q tests/core tests/langchain tests/llamaindex

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

types:
	$(PYTHON) -m mypy

imports:
	lint-imports

docs:
	$(PYTHON) -m mkdocs serve

check: lint types imports test

bench:
	$(PYTHON) benchmarks/quality.py
	$(PYTHON) benchmarks/speed.py
	$(PYTHON) benchmarks/scale.py

pretrained:
	$(PYTHON) scripts/make_pretrained.py

build:
	bash .ci/build dist
