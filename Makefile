# The commands of this project. `make run` and `make test` set up all that they need.
.DEFAULT_GOAL := help
.PHONY: help run test test-all check plan clean bench verify why gc costs ledger-pack ledger-unpack
.PHONY: sandbox-image audit toolchains chat serve web
.DELETE_ON_ERROR:

PYTHON ?= python3.11
CONFIG ?= config/config.yaml
CORES ?= $(shell nproc)
ONLY ?=
FILE ?=
MANIFEST ?=
TRAINING ?= yes
SIZE ?= 20GiB
ALL ?=
PARTS ?=
PYTEST ?=
LEDGER ?=
BIN := .venv/bin
AIEV = $(BIN)/aiev
# Fails while a run is active here, since its code and files are about to be replaced.
IDLE = if [ -e .aiev/lock ] && command -v flock >/dev/null && ! flock -n .aiev/lock true; then \
  echo "a run is active in this directory (pid $$(cat .aiev/lock)): wait for it or stop it"; exit 1; fi

help:  ## show this list; `.venv/bin/aiev --help` has more, with examples
	@grep -hE '^[a-z.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z.-]+):.*## /  make \1\t/' | expand -t 24

run: .venv  ## run the pipeline with CONFIG (default config/config.yaml), then print its scores
	@$(AIEV) run --config $(CONFIG) --cores $(CORES)

plan: .venv  ## what a run would do, take and cost, before it runs; JSON=yes for programs
	@$(AIEV) plan --config $(CONFIG) $(if $(JSON),--json)

costs: .venv  ## tokens and dollars paid through the run's ledger, by stage and model
	@$(AIEV) costs --config $(CONFIG)

audit: .venv  ## how often verified is right: BENCHMARK=humaneval or mbpp, N=80, EXAMPLES=kept, PROMPTS=small
	@$(AIEV) audit --config $(CONFIG) --benchmark $(or $(BENCHMARK),humaneval) --n $(or $(N),80) --examples $(or $(EXAMPLES),kept) $(if $(PROMPTS),--prompts $(PROMPTS))

why: .venv  ## how FILE=results/... was made, and why it would be made again
	@$(AIEV) why --config $(CONFIG) $(or $(FILE),$(error name a file: make $@ FILE=results/...))

verify: .venv  ## rebuild the finished run without a model and compare; MANIFEST=, LEDGER=, TRAINING=no
	@$(AIEV) verify --config $(CONFIG) --cores $(CORES) $(if $(filter no,$(TRAINING)),--no-training) \
	  $(if $(MANIFEST),--manifest $(MANIFEST)) $(if $(LEDGER),--ledger $(LEDGER))

ledger-pack: .venv  ## all answers in one file to publish: FILE=answers.jsonl.gz; of CONFIG or LEDGER=
	@$(AIEV) ledger pack $(or $(FILE),$(error name the packed ledger: make $@ FILE=answers.jsonl.gz)) --config $(CONFIG) $(if $(LEDGER),--ledger $(LEDGER))

ledger-unpack: .venv  ## add the answers of a packed ledger: FILE=answers.jsonl.gz
	@$(AIEV) ledger unpack $(or $(FILE),$(error name the packed ledger: make $@ FILE=answers.jsonl.gz)) --config $(CONFIG) $(if $(LEDGER),--ledger $(LEDGER))

chat: .venv  ## talk to a model with the code interpreter; MODEL=teacher, student, a folder or a URL
	@$(AIEV) chat --config $(CONFIG) --model $(or $(MODEL),student)

web: .venv  ## the same in a browser, on loopback; MODEL=, PORT=
	@$(AIEV) web --config $(CONFIG) --model $(or $(MODEL),student) --port $(or $(PORT),7860)

serve: .venv  ## the same as an OpenAI-compatible server on loopback; MODEL=, PORT=
	@$(AIEV) serve --config $(CONFIG) --model $(or $(MODEL),student) --port $(or $(PORT),8000)

gc: .venv  ## delete finished actions, packages and scratch, least recently used first, down to SIZE; ALL=yes
	@$(AIEV) gc $(SIZE) $(if $(filter yes,$(ALL)),--all)

test: .venv  ## the tests that a change needs; says what it could not run
	@$(BIN)/python tests/run_parts.py quick --pytest="$(PYTEST)"

test-all: .venv  ## every test, and how long each part takes; PARTS="docker real" for some, PARTS=gpu on GPUs
	@$(BIN)/python tests/run_parts.py $(PARTS) --pytest="$(PYTEST)"

check: .venv  ## format, lint, schema, code hashes, dry run of every shipped config, here and on Slurm
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=scripts $(BIN)/lint-imports --no-cache >.dry-run.log 2>&1 || { tail -n 40 .dry-run.log; exit 1; }
	@$(BIN)/python -m pytest --collect-only -qq >.dry-run.log 2>&1 || { tail -n 20 .dry-run.log; exit 1; }
	$(BIN)/snakefmt --check --compact-diff Snakefile rules
	$(AIEV) schema --check
	$(AIEV) lint
	@configs="$$($(AIEV) configs)" && for config in $$configs; do \
	  for how in "--cores 1" "--profile profiles/slurm"; do echo "--configfile $$config $$how"; done; \
	done | xargs -P 2 -L 1 sh -c 'said="$$($(BIN)/snakemake --dry-run "$$@" 2>&1)" || \
	  { echo "$$said" | tail -n 20; exit 1; }; echo "dry run: $$*"' dry-run

bench: .venv  ## benchmarks, one JSON object a line; ONLY=name for one
	@$(AIEV) bench $(ONLY)

sandbox-image: .venv  ## the image of the docker sandbox, in the engine that DOCKER_HOST names
	@$(AIEV) sandbox-image

# Needs no package of .venv, so that they may be installed at the same time.
toolchains:  ## compilers and interpreters for MultiPL-E, from Debian's packages (asks for root)
	@packages="$$(PYTHONPATH=scripts $(PYTHON) -m aiev.languages.toolchains)" && \
	  $$([ "$$(id -u)" = 0 ] || echo sudo) apt-get install --yes --no-install-recommends $$packages

# The stamp is the last thing written, so that an interrupted set-up is made again.
.venv: .venv/ready
.venv/ready: envs/lock.txt envs/build.txt envs/converter.txt
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) here; name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v[:2] < (3, 11) and "Python 3.11 or newer is needed, and $(PYTHON) is %d.%d; try make $(MAKECMDGOALS) PYTHON=python3.11" % v[:2])'
	@$(IDLE)
	@echo "setting up .venv (1.8 GB, about 2 minutes); the log is .venv.log"
	@exec 9>>.venv.log; if command -v flock >/dev/null && ! flock -n 9; then \
	  echo "another make sets up .venv here: wait for it, then run this again"; exit 1; fi; \
	{ rm -rf .venv && $(PYTHON) -m venv .venv && \
	   $(BIN)/pip install --quiet --requirement envs/build.txt && \
	   DS_BUILD_OPS=0 $(BIN)/pip install --quiet --no-build-isolation --requirement envs/lock.txt && \
	   $(BIN)/pip install --quiet --no-deps --requirement envs/converter.txt && \
	   $(BIN)/pip install --quiet --no-deps --no-build-isolation --editable . && \
	   touch $@; \
	 } >.venv.log 2>&1 || { tail -n 20 .venv.log; echo "set-up failed; the whole log is .venv.log"; exit 1; }

# The lock is held while files go, so that no run starts meanwhile. What a user changed in an output's
# place stays in .aiev/changed.
clean:  ## remove results, logs and the action store; answers and fetched files stay
	@mkdir -p .aiev && exec 9>>.aiev/lock && if command -v flock >/dev/null && ! flock -n 9; then \
	  echo "a run is active in this directory (pid $$(cat .aiev/lock)): wait for it or stop it"; exit 1; fi; \
	rm -rf results logs benchmarks .snakemake resources/students resources/benchmarks && \
	find .aiev -mindepth 1 -maxdepth 1 ! -name changed ! -name lock -exec rm -rf {} +
