# Everything here needs Python 3.11 or newer, git, and nothing else. `make help` lists the targets.
#
# Tools run from .venv by path, so that an environment that happens to be active makes no difference.
# .venv/.ready-<extra> says that an extra is installed, .ready-alone that the library is without any; it is
# written last, so that an interrupted installation is taken up again, and it is older than pyproject.toml when
# something changed there.

VENV  := .venv
VPY   := $(VENV)/bin/python
PYTHON ?=

unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX

# When the checkout was moved, or the Python below .venv is gone, .venv is made anew.
STALE := $(shell test "$$(cat $(VENV)/.root 2>/dev/null)" = "$$(pwd -P)" && $(VPY) -c '' 2>/dev/null || echo FORCE)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help run history workflow test lint docs bench build clean FORCE

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo "PYTHON=/path/to/python chooses the interpreter that .venv is made with; ARGS=... is passed on by run, history, workflow, test and docs."

run: $(VENV)/.ready-alone ## import the exports of other programs, say what was found, search it, export it again
	@$(VPY) examples/library/data/import_exports.py $(ARGS)

history: $(VENV)/.ready-alone ## run another example: save real conversations, see branches, sessions and response times
	@$(VPY) examples/library/data/conversation_history.py $(ARGS)

workflow: $(VENV)/.ready-alone ## run a third example: the same conversations through a workflow on data units, live
	@$(VPY) examples/library/data/conversation_workflow.py $(ARGS)

test: $(VENV)/.ready-dev ## run all tests, the code in README and docs among them
	@$(VPY) -m pytest $(ARGS)

lint: $(VENV)/.ready-dev ## check style, format, types and the direction of imports
	@$(VPY) -m ruff check .
	@$(VPY) -m ruff format --check .
	@$(VPY) -m mypy
	@set -e; for room in tests/typing examples benchmarks; do \
		if [ -n "$$(find "$$room" -name '*.py' 2>/dev/null | head -n 1)" ]; then $(VPY) -m mypy "$$room"; fi; \
	done
	@$(VENV)/bin/lint-imports

docs: $(VENV)/.ready-dev ## run the code in README and docs, and the specification's
	@$(VPY) -m pytest tests/docs README.md $(wildcard docs) $(ARGS)

bench: $(VENV)/.ready-bench ## measure units, histories, sessions, exports and imports, beside other libraries
	@$(VPY) benchmarks/units.py
	@$(VPY) benchmarks/history.py $(ARGS)
	@$(VPY) benchmarks/sessions.py
	@$(VPY) benchmarks/transfer.py
	@$(VPY) benchmarks/postgresql.py

build: $(VENV)/.ready-dev ## build the wheel and the source distribution into dist/
	@rm -rf dist
	@$(VPY) -m build --outdir dist .

clean: ## remove .venv and everything that was generated
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.ready-%: EXTRA = $(patsubst [alone],,[$*])
$(VENV)/.ready-%: pyproject.toml $(STALE)
	@set -e; \
	current() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	moved() { [ -e $(VENV)/.root ] && [ "$$(cat $(VENV)/.root)" != "$$(pwd -P)" ]; }; \
	if moved || ! { current $(VPY) && $(VPY) -m pip --version >/dev/null 2>&1; }; then \
		found=; \
		if [ -n "$(PYTHON)" ]; then set -- "$(PYTHON)"; else set -- python3 python3.13 python3.12 python3.11; fi; \
		for candidate; do if current "$$candidate"; then found=$$candidate; break; fi; done; \
		if [ -z "$$found" ]; then \
			echo "No Python 3.11 or newer found (tried: $$*). Install one, or run: make $(firstword $(MAKECMDGOALS)) PYTHON=/path/to/python" >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$("$$found" --version) ..." >&2; \
		"$$found" -m venv --clear $(VENV); \
	fi; \
	echo "Installing nanobrain-data$(EXTRA) into $(VENV) ..." >&2; \
	$(VPY) -m pip install --quiet --disable-pip-version-check --editable '.$(EXTRA)'; \
	pwd -P > $(VENV)/.root; \
	touch $@
