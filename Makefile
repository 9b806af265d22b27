# Every recipe calls only Python: `make up` works with Python >= 3.11, make and git and nothing else.
# What is installed goes into .venv/ and var/ here.

PORT ?=
HANDOFF_HOME ?=
BROKERS ?= 1
BENCH ?=
PYTEST_ARGS ?=
SECONDS ?=
LOG ?=
SEED ?=
PYTHON ?= python3

export PORT HANDOFF_HOME BROKERS BENCH PYTEST_ARGS SECONDS LOG SEED

# No shell between make and the task: Ctrl-C and SIGTERM reach it directly.
MAKEFLAGS += --no-print-directory
RUN = @$(PYTHON) tools/bootstrap.py

.PHONY: help up test soak check format bench kafka install
.DEFAULT_GOAL := help

help:     ## Show this list
	@$(PYTHON) tools/bootstrap.py help

up:       ## Start everything with the demo city, until Ctrl-C (PORT=8080 HANDOFF_HOME=var)
	$(RUN) up

test:     ## Run all tests; says what was left out (PYTEST_ARGS="-k consent"; CI=true: nothing may be)
	$(RUN) test

soak:     ## Kill processes for long and look for what was lost (SECONDS=600 LOG=kafka SEED=7)
	$(RUN) soak

check:    ## Formatter, linter, types, import rules, contract drift
	$(RUN) check

format:   ## Format the code and mend what the linter can mend
	$(RUN) format

bench:    ## All benchmarks in one table (BENCH=B1,B3 picks)
	$(RUN) bench

kafka:    ## Apache Kafka on loopback until Ctrl-C (BROKERS=3: three brokers)
	$(RUN) kafka

install:  ## Only install what the others need
	$(RUN) install
