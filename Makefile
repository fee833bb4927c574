# Every target runs from .venv, which is rebuilt when the requirements change. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: demo demo-stream demo-kafka demo-redshift simulate chaos mutants test test-runners test-beam test-yaml lint types docs bench bench-scale bench-stream check help
.DELETE_ON_ERROR:

# The first of these that is Python 3.11 or newer; `make PYTHON=/path/to/python3.11` takes another one.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
RUN := .venv/bin/python
DEV := .venv/.requirements-dev
GCP := .venv-gcp/.requirements
BEAM := .venv-beam/.requirements
YAML := .venv-yaml/.requirements
OF_BEAM := $(addprefix tests/transforms/test_,write.py dead_letters.py bounded_windows.py run_ids.py windowing.py \
	stream_packing.py stream_panes.py stream_replay.py)
DOCS := .venv-docs/.requirements
# these look at the time, and have the machine to themselves; exit code 5 of pytest: ARGS picked none
ALONE := $(addprefix tests/runners/test_,streams.py pauses.py streaming_commands.py stream_job.py kill_stream_job.py)

demo: $(DEV) ## flights to shards and manifests on a local S3 server, and back
	@$(RUN) -m tools.demo

demo-stream: $(DEV) ## a landing folder, watched for half a minute: shards and manifests appear; needs Go
	@$(RUN) -m tools.demo_stream

demo-kafka: $(DEV) ## a topic of Kafka, read while it is written: topic, shards, manifests, and counts that agree; needs Go, Java, Maven
	@$(RUN) -m tools.demo_kafka

demo-redshift: $(DEV) ## a backfill into tables, through the real driver, on a stand-in for Redshift
	@$(RUN) -m tools.demo_redshift

test: $(DEV) ## every test that this machine can run, in as many processes as it has cores; ARGS="-k name" picks some
	$(RUN) -m pytest --numprocesses=auto --dist=loadfile $(ARGS)

test-runners: $(DEV) $(GCP) ## the tests on real engines; needs Go, Java, Maven and Node
	BEAM_S3BOX_RUNNERS=required $(RUN) -m pytest --numprocesses=2 --dist=loadfile tests/runners $(ALONE:%=--ignore=%) $(ARGS) || [ $$? = 5 ]
	BEAM_S3BOX_RUNNERS=required $(RUN) -m pytest $(ALONE) $(ARGS) || [ $$? = 5 ]

test-beam: $(BEAM) ## the tests of the transforms with the oldest Beam that is allowed
	.venv-beam/bin/python -m pytest $(OF_BEAM) $(ARGS)

test-yaml: $(DEV) $(YAML) ## a pipeline in Beam YAML, run by Beam's own command
	BEAM_S3BOX_YAML=required $(RUN) -m pytest tests/yaml $(ARGS)

lint: $(DEV) ## ruff: rules and format
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(DEV) ## mypy --strict
	$(RUN) -m mypy

docs: $(DOCS) ## the pages of docs/ and the API reference, as HTML in site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --strict --quiet $(ARGS)

simulate: $(DEV) ## schedules of a world that breaks on purpose: SEEDS=0:10000 of each kind, KIND=stream SEED=815, or MINUTES=60
	$(RUN) -m tests.simulation $(if $(KIND),--kind $(KIND)) $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),0:2000)) $(if $(MINUTES),--minutes $(MINUTES))

chaos: $(DEV) ## real processes and engines killed and stopped for MINUTES=10, and counted; SEED=n; ARGS="pack flink" picks some
	$(RUN) -m tools.chaos --minutes=$(or $(MINUTES),10) $(if $(SEED),--seed=$(SEED)) $(ARGS)

mutants: $(DEV) ## faults put into the code, each of which the tests next to it must notice; ARGS="word" picks some
	$(RUN) -m tools.mutants $(ARGS)

bench: $(DEV) ## how fast, and compared with what; ARGS="--help" says more
	$(RUN) -m tools.bench $(ARGS)

bench-scale: $(DEV) ## how time and memory grow with data, streams, shards and workers; draws docs/scale.svg
	$(RUN) -m tools.bench.scale $(ARGS)

bench-stream: $(DEV) ## the same for streams; needs Java and Maven
	$(RUN) -m tools.bench_stream $(ARGS)

check: lint types test ## what CI runs before the tests on real engines

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(DEV): requirements.txt requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found; try make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, not " + sys.version)'
	"$(PYTHON)" -m venv --clear .venv
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(BEAM): requirements-beam-2.76.txt
	"$(PYTHON)" -m venv --clear .venv-beam
	.venv-beam/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-beam-2.76.txt
	@touch $@

$(YAML): requirements-yaml.txt
	"$(PYTHON)" -m venv --clear .venv-yaml
	.venv-yaml/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-yaml.txt
	@touch $@

# Google's libraries change what Beam imports and logs, so they stay out of .venv.
$(GCP): requirements.txt requirements-gcp.txt | $(DEV)
	"$(PYTHON)" -m venv --clear .venv-gcp
	.venv-gcp/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-gcp.txt
	@touch $@

# What makes the pages stays out of .venv, too: they need nothing of the package but its text.
$(DOCS): requirements-docs.txt
	"$(PYTHON)" -m venv --clear .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@touch $@
