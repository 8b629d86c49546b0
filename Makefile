.PHONY: install test lint format types check bench pretrained build
PYTHON ?= python

install:
	$(PYTHON) -m pip install -e '.[all]' --group dev

test:
	$(PYTHON) -m pytest -q

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

types:
	$(PYTHON) -m mypy

check: lint types test

bench:
	$(PYTHON) benchmarks/quality.py
	$(PYTHON) benchmarks/speed.py
	$(PYTHON) benchmarks/scale.py

pretrained:
	$(PYTHON) scripts/make_pretrained.py

build:
	$(PYTHON) -m pip install --quiet build && $(PYTHON) -m build
