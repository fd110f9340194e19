# A path to Python 3.11 or newer; TORCH_INDEX is an extra package index, for example the CPU wheels of PyTorch.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
TORCH_INDEX ?=
ARGS ?=

BIN := .venv/bin
STAMP := .venv/.setup-stamp
PIP_INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: setup demo test test-gpu check format

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml tools/setup_system.py
	$(PYTHON) tools/setup_system.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_INDEX) -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: setup
	$(BIN)/python stream.py --config configs/demo.toml $(ARGS)

test: setup
	$(BIN)/python -m pytest -m "not gpu" $(ARGS)

test-gpu: setup
	$(BIN)/python -m pytest -m gpu $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m pyright
	$(BIN)/python -m pytest -m "not gpu" $(ARGS)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
