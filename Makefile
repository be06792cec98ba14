# Everything here may be run again at any time; what is already there is used. `make help` lists the targets.
PYTHON ?= python3
APP ?=
ARGS ?=
QUICKSTART = DOCKER_HOST="$$($(PYTHON) setup/machine.py host)" .venv/bin/python -m workers.quickstart

.DEFAULT_GOAL := help
.PHONY: help venv machine machine-down check protos test bench chaos fuzz up down clean
# The environment and the images don't need each other.
MAKEFLAGS += --jobs=2

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-13s %s\n", $$1, $$2 }'

venv: ## the virtual environment, from requirements.lock
	@$(PYTHON) setup/environment.py

machine: ## a Docker engine and base images, where they are missing
	@$(PYTHON) setup/machine.py all

machine-down: ## end the Docker engine that `make machine` started
	@$(PYTHON) setup/machine.py engine-down

check: venv ## linters, types, import rules, dependencies
	@$(PYTHON) setup/verify.py check

protos: venv ## make iarnet/rpc anew from its .proto files
	@.venv/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. iarnet/rpc/*.proto

test: ## set up, check, and run all tests (ARGS="-k word")
	@$(PYTHON) setup/verify.py test $(ARGS)

bench: venv machine ## measure, and print the table of figures (ARGS="throughput")
	@.venv/bin/python -m bench $(ARGS)

chaos: venv machine ## kill node and Temporal 1,000 times while deployments run (ARGS="60 --storm servers")
	@DOCKER_HOST="$$($(PYTHON) setup/machine.py host)" .venv/bin/python -m chaos $(ARGS)

fuzz: venv ## analyse mutated repositories for a minute, or ARGS=SECONDS
	@.venv/bin/python -m chaos.fuzzing $(ARGS)

up: venv machine ## start IARNet, and deploy APP=<git url> when given
	@$(QUICKSTART) up $(APP)

down: venv ## stop what `make up` started
	@$(QUICKSTART) down

clean: ## remove what these targets made in this folder
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
