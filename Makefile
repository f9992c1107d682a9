# `make` lists the targets.

PYTHON := .venv/bin/python

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

check: ## all gates: format, lint, types, layers, tests, coverage (what CI runs)
	./test

quick: ## the gates without the slow tests
	./test tests/unit tests/contract

format: ## format and mend what can be mended
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

demo: ## break the trading example
	./demo

requirements: ## pin what pyproject.toml asks for, with hashes
	for what in run:build dev:dev; do \
	  $(PYTHON) -m uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-emit-index-url --no-annotate --quiet --upgrade \
	    --group "$${what#*:}" -o "requirements/$${what%:*}.txt"; \
	done
	$(PYTHON) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-annotate --quiet --upgrade --group fuzz -o requirements/fuzz.txt

SECONDS := 600
fuzz: ## feed the readers what reaches new code: make fuzz SECONDS=600
	$(PYTHON) -m pip install --quiet --require-hashes --no-deps --requirement requirements/fuzz.txt
	PYTHONPATH=tests:src:examples $(PYTHON) tests/support/fuzz_run.py $(SECONDS)

SEEDS := 1000000
SIMULATION := PYTHONHASHSEED=0 PYTHONPATH=tests:src:examples $(PYTHON) tests/simulation/run.py
simulate: ## tell stories of the engine in trouble: make simulate SEEDS=1000000, or one: SEED=4711
	@$(SIMULATION) $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --processes $$(nproc))

STORIES := 2000
sabotage: ## break the engine, and see how soon the simulation notices: make sabotage STORIES=2000
	@$(subst run.py,sabotage.py,$(SIMULATION)) --stories $(STORIES) --processes $$(nproc)

generated: ## write the files that are made from the code: schemas and references
	$(PYTHON) scripts/generate.py

messages: ## write what is told of the bad files, to be read before it is committed
	$(PYTHON) scripts/bad_messages.py

benchmarks: ## print every benchmark's table
	for each in $(filter-out benchmarks/soak%,$(wildcard benchmarks/*.py)); do \
	  echo "== $$each"; $(PYTHON) "$$each" || exit 1; \
	done

MINUTES := 60
soak: ## break the trading example for an hour, and see whether anything grows: make soak MINUTES=60
	@PYTHONPATH=src $(PYTHON) -u benchmarks/soak.py $(MINUTES)

.PHONY: help check quick format demo requirements fuzz simulate sabotage generated messages benchmarks soak
