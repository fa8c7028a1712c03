# Everything there is to type. Each target first sets itself up (tools/setup); the second time
# that takes no time. `make PYTHON=/path/to/python3.12 …` picks another Python.
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
export PYTHON
# The tests install a homeserver. Compiled, it starts twice as fast.
export UV_COMPILE_BYTECODE := 1
BIN := .venv/bin
SITE := build/docs
# Tests wait for other processes half of the time: three at once keep two processors busy.
# `make test WORKERS=0` runs them one after the other.
WORKERS := 3

.PHONY: help run demo test test-programs test-long bench lint format docs reference man setup clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target what; do \
	    printf '%-18s%s\n' "$$target" "$$what"; done

run: setup ## the daemon in the foreground, and a console in tmux to talk at
	@tools/run

demo: setup ## a conversation over a real Matrix server, with the daemon killed in the middle
	@$(BIN)/python -u -m tools.demo

test: lint test-programs ## everything that must hold before a commit, within 15 minutes
	@$(BIN)/pytest -m "not long" --numprocesses $(WORKERS) --dist worksteal --max-worker-restart 0

test-programs:
	@tools/setup-tests

test-long: test ## all of it: the soaks and the full crash runs too
	@$(BIN)/pytest -m long

bench: setup ## measure speed and size against floors, peers and targets
	@$(BIN)/python -u -m bench

lint: setup ## ruff, mypy and the import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

docs: setup ## the documentation as a site, in build/docs; a warning is an error
	@$(BIN)/sphinx-build -E -a -b html -W --keep-going -n -q -d $(SITE)-doctrees docs $(SITE)
	@echo "$(SITE)/index.html"

reference: setup ## write anew what docs/reference takes from the code
	@$(BIN)/python -m tools.reference

man: setup ## the manual pages, in build/man
	@$(BIN)/python tools/man.py build/man

setup: ## make .venv, with fleetchatd and fleetchat in it
	@tools/setup

clean: ## remove what make has made, downloads included
	rm -rf .venv .venv-uv .cache build dist .mypy_cache .pytest_cache .ruff_cache \
	    .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
