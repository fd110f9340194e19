# A path to Python 3.11 or newer; TORCH_INDEX is an extra package index, for example the CPU wheels of PyTorch.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
TORCH_INDEX ?=
ARGS ?=
# Processes that tests run in; 0 for none but pytest's own, in which a debugger works.
WORKERS ?= 2

BIN := .venv/bin
STAMP := .venv/.setup-stamp
PIP_INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: setup demo test test-gpu test-wheel lint types check format

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml tools/setup_system.py
	$(PYTHON) tools/setup_system.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_INDEX) -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: setup
	$(BIN)/python stream.py --config configs/demo.toml $(ARGS)

# The processes share the cores; a file's tests share what they have set up.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not gpu and not wheel" -n $(WORKERS) --dist loadfile $(ARGS)

test-gpu: setup
	$(BIN)/python -m pytest -m gpu $(ARGS)

test-wheel: setup
	$(BIN)/python -m pytest -m wheel $(ARGS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/python -m pyright

check: lint types test test-wheel

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
