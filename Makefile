# Two commands for a fresh machine: `make demo` and `make test`. Each makes .venv first where it is missing or old.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FIND_LINKS := $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)")
MANIFESTS := constraints.txt dev.txt workspace.txt $(wildcard libs/*/pyproject.toml services/*/pyproject.toml cli/pyproject.toml)

.PHONY: demo test test-gpu lint bench soak docs savings forecasts narratives clean

demo: $(STAMP)
	$(BIN)/carbonshift demo

test: $(STAMP)
	$(BIN)/pytest -n 3 --dist loadfile

# on a host with an NVIDIA GPU; CARBONSHIFT_GPU_ALLOW_LIMITS=1 lets it change power limits, and give them back
test-gpu: $(STAMP)
	$(BIN)/pytest -m gpu tests/gpu

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	set -e; for part in libs/* services/* cli; do (cd $$part; $(CURDIR)/$(BIN)/deptry .); done

bench: $(STAMP)
	$(BIN)/python benchmarks/year_replay.py
	$(BIN)/python benchmarks/integrity.py
	$(BIN)/python benchmarks/eco_pulse_year.py
	$(BIN)/python benchmarks/plan_many.py
	$(BIN)/python benchmarks/planner_year.py
	$(BIN)/python benchmarks/forecast_origin.py
	$(BIN)/python benchmarks/limit_latency.py
	$(BIN)/python benchmarks/agent_at_rest.py
	$(BIN)/python benchmarks/hook_overhead.py
	$(BIN)/python benchmarks/pause_latency.py
	$(BIN)/python benchmarks/pause_leaks.py
	$(BIN)/python benchmarks/pause_exactness.py --quick

soak: $(STAMP)
	$(BIN)/pytest -m soak
	$(BIN)/python benchmarks/limit_kills.py
	$(BIN)/python benchmarks/pause_exactness.py
	$(BIN)/python benchmarks/pause_exactness.py --long
	$(BIN)/python benchmarks/zombies.py

docs: $(STAMP)
	$(BIN)/carbonshift schema --out docs/asyncapi.json
	$(BIN)/python -m carbonshift.cli.settings_table > docs/settings.md

# the bundled recordings, and the results of others: make savings RESULTS="a.json b.json"
savings: $(STAMP)
	mkdir -p build
	$(BIN)/carbonshift backtest de_2018_15min fr_2018_hourly --json build/savings.json
	$(BIN)/python -m carbonshift.backtest.savings_page build/savings.json $(RESULTS) > docs/savings.md

# every forecaster on the bundled recordings, and the results of others: make forecasts RESULTS="a.json b.json"
forecasts: $(STAMP)
	mkdir -p build
	$(BIN)/carbonshift forecast evaluate fr_2018_hourly de_2018_15min --models all --slow-every 35 --json build/forecast.json
	$(BIN)/python -m carbonshift.backtest.forecasts.page build/forecast.json $(RESULTS) --plot docs/forecast-reliability.svg > docs/forecast.md

# transitions of the bundled recordings told while a model lies, and the results of others: make narratives RESULTS="a.json"
narratives: $(STAMP)
	mkdir -p build
	$(BIN)/carbonshift explain evaluate fr_2018_hourly de_2018_15min --json build/narratives.json
	$(BIN)/python -m carbonshift.backtest.narratives.page build/narratives.json $(RESULTS) > docs/narratives.md

# the CPU build of torch where the package index offers it as a local file; else what the index gives
$(STAMP): $(MANIFESTS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "CarbonShift needs Python 3.11 or newer, found " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(FIND_LINKS) --constraint constraints.txt torch -r dev.txt -r workspace.txt
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
