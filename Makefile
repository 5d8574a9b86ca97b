# Every target sets up what it needs in .venv, from the versions and hashes in requirements/.
PYTHON ?= python3
BIN := .venv/bin
# INSTALLER='uv pip' is much faster. uv has settings of its own, such as UV_DEFAULT_INDEX, and does not
# read those of pip.
INSTALLER ?= $(BIN)/pip
# Bytecode is compiled when it is needed first, as most of it never is; or now, if it cannot be kept then.
BYTECODE := $(if $(PYTHONDONTWRITEBYTECODE),--compile,--no-compile)
INSTALL = VIRTUAL_ENV="$(CURDIR)/.venv" $(INSTALLER) install -q --disable-pip-version-check $(BYTECODE)

.DEFAULT_GOAL := help
.PHONY: help generate test prepared check lint lab docs fuzz chaos audit licenses bench bench-loads bench-image notebooks goldens lock dist clean

help:  ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

generate: .venv/run  ## Write cloudbuild.json and the README's grid from config/images.yaml
	@$(BIN)/imagekit readme --quiet
	@$(BIN)/imagekit run generate

test: .venv/test prepared lint  ## Run all tests
	$(BIN)/pytest -q -n 3 --dist loadscope --no-loadscope-reorder --cov --cov-report=
	# What is pure is tested in every branch; the edges are tested on the real thing.
	@$(BIN)/coverage report --fail-under=100 --include="$$($(BIN)/python -m tools.pure)"

# Compile what tests import once, while the linters run, and not in each test process. The same process
# reads the constants that hypothesis tries.
prepared: .venv/test
	@$(BIN)/pytest --collect-only -qq >/dev/null 2>&1 &

check: .venv/test lint  ## Run the fast checks: lint, types, contracts, unit tests
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not edge and not slow" --ignore tests/system

lint: .venv/test  ## Check style, types, which folder imports which, and notebooks' metadata
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/imagekit clean-notebooks --check

# JupyterLab would ask other hosts for news and for newer versions of itself.
OFFLINE := --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate
NEWS := @jupyterlab/apputils-extension:announcements

# Development containers run as root, for which JupyterLab asks to be told.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

lab: .venv/lab  ## Open JupyterLab on the start notebook
	@$(BIN)/jupyter labextension disable --level=sys_prefix $(NEWS) 2>/dev/null
	$(BIN)/jupyter lab $(OFFLINE) $(AS_ROOT) notebooks/start.ipynb

docs: .venv/docs  ## Build the site from the notebooks and the pages of docs/
	@$(BIN)/python docs/build.py

fuzz: .venv/test  ## Give every reader inputs that nobody would write: make fuzz [FUZZ_OPTIONS="--seconds 900"]
	$(BIN)/python -m tools.fuzz $(FUZZ_OPTIONS)

chaos: .venv/test  ## Kill commands at random moments, many times, and run 50 at once
	IMAGEKIT_CHAOS=$(or $(ROUNDS),100) $(BIN)/pytest -q -n 0 tests/system/test_chaos.py

bench: .venv/test  ## Measure generating, comparing and splitting, and write the table
	$(BIN)/python benchmarks/generate.py $(BENCH_OPTIONS)

bench-loads: .venv/run  ## Measure inputs of two sizes, which must not take more than in proportion
	$(BIN)/python benchmarks/loads.py

bench-image: .venv/run  ## Compare the shipped image with the plainest one, BASE= UV= PY=
	$(BIN)/python benchmarks/images.py --base $(BASE) --uv $(UV) --python $(PY) $(BENCH_OPTIONS)

notebooks: .venv/test  ## Execute the committed notebooks again, in place
	$(BIN)/python -m tools.notebooks

goldens: .venv/test  ## Rewrite the golden files from what the code gives now
	$(BIN)/python -m tools.goldens
	$(BIN)/python -m tools.project_goldens
	$(BIN)/python -m tools.schema
	$(BIN)/python -m tools.build_schema
	$(BIN)/python -m tools.build_file_goldens
	$(BIN)/python -m tools.console

COMPILE = $(BIN)/uv pip compile -q --universal --python-version 3.11 \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links

lock: .venv/test  ## Choose new versions for constraints.txt, and write requirements/ with their hashes
	$(COMPILE) --all-extras --upgrade pyproject.toml requirements/build.in -o constraints.txt
	echo pip | $(COMPILE) --generate-hashes -c constraints.txt - -o requirements/pip.txt
	for extra in run test lab docs; do $(COMPILE) --generate-hashes --extra $$extra \
	    -c constraints.txt pyproject.toml requirements/build.in -o requirements/$$extra.txt || exit 1; done

audit: .venv/test  ## Look for known vulnerabilities: make audit [AUDIT_OPTIONS="--database FILE"]
	$(BIN)/python -m tools.audit $(AUDIT_OPTIONS)

licenses: .venv/test  ## List the licenses of what is installed
	$(BIN)/python -m tools.licenses

dist: .venv/test  ## Build the sdist and the wheel, and check them: make dist [TAG=v1.2.3]
	@[ -z "$(TAG)" ] || [ "$(TAG)" = "v$$($(BIN)/python -c 'import imagekit; print(imagekit.__version__)')" ] \
	    || { echo "tag $(TAG) is not the version in imagekit/__init__.py" >&2; exit 2; }
	rm -rf dist
	$(BIN)/uv build -q --no-build-isolation
	$(BIN)/twine check --strict dist/*

clean:  ## Remove the environment and everything that tools leave
	rm -rf .venv .coverage .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "imagekit needs Python 3.11 or later; name one: make PYTHON=python3.13 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv

# Python's own pip may be years old. A recent one finds the pinned versions in half of the time.
.venv/pip: requirements/pip.txt | .venv/bin/python
	$(INSTALL) --require-hashes --no-deps -r requirements/pip.txt
	@touch $@

# One extra a stamp; a newer pin or dependency installs again. What is downloaded has the hashes that
# are listed, with all that it depends on; imagekit itself is then installed without downloading.
.venv/run .venv/test .venv/lab .venv/docs: .venv/%: pyproject.toml requirements/%.txt .venv/pip
	$(INSTALL) --require-hashes --no-deps -r requirements/$*.txt
	$(INSTALL) --no-build-isolation --no-deps -e .
	@touch $@
