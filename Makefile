# The front door for people who work on Scandock, and for CI. `make help` lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PYTHON
unexport PYTHONDONTWRITEBYTECODE  # pytest rewrites 350 modules of tests, and keeps that only as byte code

BIN := .venv/bin
CHECKED := src tests bench scripts
# More than the cores that CI has: many a test waits for a process, a browser or a disk.
TEST_PROCESSES ?= 4
# Folders of tests that passed go at once: those of all tests are 8 GB.
IN_PROCESSES := --numprocesses $(TEST_PROCESSES) --dist worksteal -o tmp_path_retention_policy=failed
CRASH_ROUNDS ?= 200
SERVER_ROUNDS ?= 100
POWER_CUTS ?= 40
RECEIVER_ROUNDS ?= 200
BUCKET_ROUNDS ?= 200
# Of which make test runs a share (tests/crash/case_share.py)
WHOLE := $(addprefix tests/integration/test_,backup_beside_imports.py cancelled_imports.py crash_short.py followed_reading.py full_disk.py full_disk_served.py late_scrub_killed.py outages.py postgresql_dies.py readers_die.py schemathesis.py session_imports_killed.py unsynced.py)
# Checkouts of other suites: NrgXnat/xnat-rest-tests and orthanc-tests for make test, pyxnat/pyxnat for make clients
export XNAT_REST_TESTS ?=
export PYXNAT_TESTS ?=
export ORTHANC_TESTS ?=
DATA ?= data
PORT ?= 8080
# Further arguments for the command behind a target: make test ARGS="-k zip64", make bench ARGS="--only a,d"
ARGS ?=

.PHONY: help demo serve test test-bucket test-quick clients lint format crash byte-search load attack fuzz bench bench-serve bench-small bench-orthanc bench-growth bench-floor bench-listings bench-pages bench-downloads bench-deidentify bench-dicom container-check pictures startup lock setup hooks clean distclean test-s3 bench-bucket bench-capacity hosts

help:  ## List the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: setup-run  ## Import and upload real session archives into demo/data, say where to look, and serve them
	@exec $(BIN)/python scripts/demo.py $(ARGS)

serve: setup-run  ## Serve the folder DATA (data) on PORT (8080) in the foreground
	@exec $(BIN)/scandock serve --data $(DATA) --port $(PORT) $(ARGS)

test: setup-checks  ## Set up all that is needed, then run every check and every test
	@$(MAKE) --jobs=3 --output-sync=target types style collect setup
	$(if $(ARGS),,scripts/in_memory.sh) $(BIN)/python -m pytest $(or $(ARGS),$(IN_PROCESSES))

BUCKET := $(addprefix tests/integration/test_,$(addsuffix .py,again downloads dicomweb_retrieve existing_sessions \
	file_verification healing import_outcomes late_scrub mounted_tree petmr prearchive project_deletions quarantine \
	received receiving resources session_import_doors xnat_cache xnat_files_by_hand xnat_inserters xnat_own_files \
	xnat_prearchive))

test-bucket: setup  ## Run tests of a site with its files in a bucket (SeaweedFS) and its catalog in PostgreSQL
	TESTS_STORE=bucket scripts/in_memory.sh $(BIN)/python -m pytest $(IN_PROCESSES) $(or $(ARGS),$(BUCKET))

test-s3: setup  ## Run the tests of the store in a bucket on Ceph (Debian's packages), whose kill loses nothing that was acknowledged
	@scripts/system-packages.sh ceph-mon=ceph-mon ceph-osd=ceph-osd radosgw=radosgw
	TESTS_S3=ceph scripts/in_memory.sh $(BIN)/python -m pytest $(or $(ARGS),$(addprefix tests/integration/test_s3_,store.py store_killed.py kills.py site.py migration.py))

test-quick: setup  ## Run the quicker tests: those without servers, commands, browsers, clients and PostgreSQL
	scripts/in_memory.sh $(BIN)/python -m pytest --quick $(IN_PROCESSES) tests/unit tests/integration $(ARGS)

# Beside types, which uses one core: pytest rewrites each module of tests here, and not in each of its processes.
.PHONY: collect
collect: setup-checks
	@$(BIN)/python -m pytest --collect-only -qq > /dev/null || true  # of what is wrong there the run itself tells

lint: style types  ## Run the checks that need no test: ruff, mypy, the rooms' order, what nothing uses

# The longest of the checks, which make test begins first, and runs beside the others.
.PHONY: types
types: setup-checks
	$(BIN)/mypy

.PHONY: style
style: setup-checks
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.unused

format: setup  ## Lay out the code as the checks want it
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

clients: setup  ## Run all of XNAT's clients live, pyxnat's own tests too (PYXNAT_TESTS), and record their requests anew
	$(BIN)/python -m pytest tests/clients/test_tours.py tests/clients/test_smokes.py tests/clients/test_pyxnat_own.py --record-clients $(ARGS)

crash: setup  ## Kill imports, deletions, and a server under load, at named and random points, and cut its power (CRASH_ROUNDS, SERVER_ROUNDS, POWER_CUTS, RECEIVER_ROUNDS, BUCKET_ROUNDS)
	@scripts/system-packages.sh --try xfsprogs=mkfs.xfs
	$(BIN)/python -m tests.crash.run --rounds $(CRASH_ROUNDS) $(ARGS)
	$(if $(findstring --only,$(ARGS)),,$(BIN)/python -m tests.crash.run --server-rounds $(SERVER_ROUNDS) $(ARGS))
	$(if $(findstring --only,$(ARGS)),,$(BIN)/python -m tests.crash.run --receiver-rounds $(RECEIVER_ROUNDS) $(ARGS))
	$(if $(findstring --only,$(ARGS)),,$(BIN)/python -m tests.crash.run --bucket-rounds $(BUCKET_ROUNDS) $(ARGS))
	$(if $(findstring --only,$(ARGS)),,$(BIN)/python -m tests.crash.run --power-cuts $(POWER_CUTS) $(ARGS))
	$(if $(findstring --only,$(ARGS)),,ALL_POINTS=1 $(BIN)/python -m pytest $(WHOLE))

# Of Debian's packages, which this suite alone needs, each with a program of it
HOSTS_NEED := haproxy=haproxy iproute2=ip nftables=nft faketime=faketime

hosts: setup  ## Kill, cut off and mislead one of three hosts on machines of their own, and kill their database (root)
	@for package in $(HOSTS_NEED); do scripts/system-packages.sh --try $$package; done
	ALL_POINTS=1 $(BIN)/python -m pytest tests/hosts $(ARGS)

byte-search: setup  ## Search all bytes that imports leave for marked names, after kills at each named point
	ALL_POINTS=1 $(BIN)/python -m pytest tests/unit/test_byte_search.py tests/integration/test_names_hidden.py tests/integration/test_names_hidden_killed.py $(ARGS)

load: setup  ## Load a server with 50 uploaders for two minutes (ARGS="--seconds 20 --uploaders 10" for less, "--imports 3000" for memory)
	$(BIN)/python -m tests.load.run $(ARGS)

attack: setup  ## Attack a server in every way of tests/attack: answers, memory, others' waits (ARGS="--only head,bodies --seconds 4")
	$(BIN)/python -m tests.attack.run $(ARGS)

fuzz: setup  ## Run the property tests with many more and ever new examples, and send a million damaged PDUs of DICOM
	$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=fuzz $(ARGS)
	$(if $(ARGS),,FUZZED_PDUS=1000000 $(BIN)/python -m pytest -s tests/unit/dimse/test_fuzz.py)

bench: setup  ## Measure imports against unzip, tar and a plain script; writes docs/performance.md
	$(BIN)/python -m bench.run $(ARGS)

bench-serve: setup  ## Measure the server: uploads against a bare receiver, memory, how soon a session stands
	$(BIN)/python -m bench.serve $(ARGS)

bench-orthanc: setup  ## Measure an upload until all of it can be asked for, against Orthanc (ARGS=--write for the docs)
	$(BIN)/python -m bench.orthanc $(ARGS)

bench-growth: setup  ## Measure what an import costs as its archive grows: CPU a file, memory (ARGS=--write for the docs)
	$(BIN)/python -m bench.growth $(ARGS)

bench-floor: setup  ## Measure where an import's time goes, beside what its parts cost alone (ARGS=--write for the docs)
	$(BIN)/python -m bench.floor $(ARGS)

bench-small: setup  ## Measure what a small import costs a warm server, by process, and the command line (ARGS=--write for the docs)
	$(BIN)/python -m bench.small $(ARGS)

bench-listings: setup  ## Measure how long pages of lists take with 10,000 sessions
	$(BIN)/python -m bench.listings $(ARGS)

bench-capacity: setup  ## Measure a catalog of 20 million files in PostgreSQL, for half an hour (ARGS=--write for the docs)
	$(BIN)/python -m bench.capacity $(ARGS)

bench-pages: setup  ## Measure the pages in Chromium: first paint, bytes, thumbnails
	$(BIN)/python -m bench.pages $(ARGS)

bench-downloads: setup  ## Measure downloads: zips of sessions beside reading their files, single files (ARGS="--cold --write" for the docs)
	$(BIN)/python -m bench.downloads $(ARGS)

bench-bucket: setup  ## Measure a site with its files in a bucket beside one with a folder (ARGS=--write for the docs)
	$(BIN)/python -m bench.bucket $(ARGS)

bench-deidentify: setup  ## Measure de-identification: headers a second against pydicom, memory over many files and 2 GB
	$(BIN)/python -m bench.deidentify --write $(ARGS)

bench-dicom: setup  ## Measure DICOM receivers against storescp and Orthanc, their memory, and DICOMweb; prints each goal
	$(BIN)/python -m bench.dicom $(ARGS)

container-check: setup  ## Run the instructions of deploy/Containerfile in their order, without a container, and what it runs
	$(BIN)/python -m scripts.container_check

pictures: setup  ## Take the pictures of docs/ from the real pages
	PYTHONPATH=. $(BIN)/python scripts/screenshots.py

startup: setup  ## Measure how long the command line takes to start
	$(BIN)/python -m bench.startup $(ARGS)

lock: setup  ## Resolve pyproject.toml into requirements/*.txt anew (ARGS=--upgrade for newer versions)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/lock.txt
	scripts/lock.sh $(ARGS)

hooks: setup  ## Let git run the checks before each commit
	$(BIN)/pre-commit install

setup: setup-checks  ## Make .venv with all that the checks and tests need
	@scripts/setup.sh dev

# Without the clients that tests drive: they are installed beside the checks.
.PHONY: setup-checks
setup-checks:
	@scripts/setup.sh dev --no-clients

.PHONY: setup-run
setup-run:
	@scripts/setup.sh run

clean:  ## Remove what checks, tests, demo and benchmarks left
	rm -rf demo .bench .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist
	find src tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## Remove .venv as well
	rm -rf .venv .cache tests/node/node_modules
