# Every chore is one short command. Needs Python 3.11+, make and git; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test check format bench bench-crash fuzz real-senders docs clean venv dev

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ticket-gateway needs Python 3.11 or newer; say which with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run: $(VENV)/made lock/run.txt pyproject.toml
	@echo "Installing locked dependencies"
	@$(PIP) install --require-hashes -r lock/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev: $(VENV)/run lock/dev.txt
	@echo "Installing locked development dependencies"
	@$(PIP) install --require-hashes -r lock/dev.txt
	@touch $@

venv: $(VENV)/run
dev: $(VENV)/dev

run: $(VENV)/run  ## the gateway with a sandbox helpdesk and four sample events, until Ctrl-C
	@exec $(BIN)/ticket-gateway demo

test: $(VENV)/dev  ## the whole test suite
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: $(VENV)/dev  ## lint, format, strict types, import rules, licences, docs in step with the code, the tests of routes.yaml
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/make.py --check
	$(BIN)/python docs/licences.py
	$(BIN)/ticket-gateway check routes.yaml
	$(BIN)/ticket-gateway test routes.yaml --strict

format: $(VENV)/dev  ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/dev  ## write the generated reference pages
	$(BIN)/python docs/make.py

bench: $(VENV)/dev  ## speed and size as ratios against baselines of the same run
	$(BIN)/python -m bench

bench-crash: $(VENV)/dev  ## 500 kills at fault points
	$(BIN)/python -m bench.crash --kills 500

real-senders: export REAL_MAILS ?= 100
real-senders: export REAL_KILLS ?= 8
real-senders: $(VENV)/dev  ## real Nagios, Zabbix and mail programs against the gateway; skips those that are not installed
	$(BIN)/python -m pytest tests/senders tests/receive/smtp/test_postfix.py -v -rs $(ARGS)

fuzz: $(VENV)/dev  ## the mail parser against mutated mails, e.g. ARGS="--minutes 10 --ways mutate,hypothesis"
	$(BIN)/python -m bench.fuzz_mail $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
