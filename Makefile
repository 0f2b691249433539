# Two commands: `make demo` trains a real adapter, `make test` runs the tests. Each sets up what it
# needs in .venv. PYTHON chooses the interpreter (3.11 or newer).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
LIGHT  := $(VENV)/.installed-train
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-all check bench docs setup clean

setup: $(STAMP)

# torch goes first and alone: its wheel decides the CPU or CUDA build for everything after it.
$(LIGHT): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) -e '.[train]'
	@touch $@

$(STAMP): $(LIGHT)
	$(PIP) -e '.[train,media,heif,dev]'
	@touch $@

demo: $(LIGHT)
	$(BIN)/stune demo --out demo-out

test: $(STAMP)
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m 'not slow and not soak' -n 2 --dist loadfile

test-all: $(STAMP)
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest

check: $(STAMP)
	$(BIN)/ruff check trainer stdaemon sttui tests bench
	$(BIN)/ruff format --check trainer stdaemon sttui tests bench
	$(BIN)/lint-imports
	$(BIN)/pyright --warnings

bench: $(STAMP)
	@for script in bench/*.py; do echo "== $$script"; PYTHONPATH=. $(BIN)/python $$script || exit 1; done

docs: $(STAMP)
	$(BIN)/python -m trainer.config.docs
	$(BIN)/python -m docs.generate

clean:
	rm -rf $(VENV) build dist demo-out *.egg-info
