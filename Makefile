# Each goal builds its own .venv from nothing; a second run reinstalls only if pyproject.toml changed.
# PIP_ARGS is passed to every pip call, e.g. PIP_ARGS="--index-url ..." for a small CPU build of torch.
PYTHON ?= python3
PIP_ARGS ?=
# With an NVIDIA driver: the torch of the index. Without: the pinned CPU pair.
CONSTRAINTS := $(shell command -v nvidia-smi >/dev/null 2>&1 || echo "-c constraints/cpu.txt")
ARGS ?=
TRITONS := 3.6.0 3.9.0
# The folder python/tutorials of a checkout of Triton, if its kernels are to run, too.
TUTORIALS ?=
BIN := .venv/bin
GATE := src/chainrule/conformance/tests/kernels/test_kernels_gate.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: conform test mutate mutate-kernels full newest bench gate gpu readme browser scoreboard lint clean

conform: .venv/conformance.stamp   ## judge our Triton kernels against the reference
	$(BIN)/chainrule conform --levels $(ARGS)

test: .venv/dev.stamp lint         ## everything that must hold before a merge
	$(BIN)/python -m pytest -n 2 --deselect $(GATE) $(ARGS)
	$(BIN)/python -m pytest $(GATE)            # compiles for GPUs that are not here: in a process of its own

mutate: .venv/dev.stamp            ## every record and reference with one thing changed: the tests must notice
	$(BIN)/python -m chainrule.conformance.mutate

mutate-kernels: .venv/dev.stamp    ## Triton kernels with one thing changed: which tier notices, who survives unexplained
	$(BIN)/python -m chainrule.conformance.mutate.kernel_survey $(ARGS)

full: .venv/dev.stamp .venv/clients.stamp lint build/third-party build/jax build/scoreboard/attorch $(TUTORIALS:%=build/scoreboard/tutorials)   ## the long versions too
	$(BIN)/python -m pytest -n 2 -m "slow or not slow" $(ARGS)
	$(BIN)/chainrule conform -n 2              # every pair of levels, in the simulator
	$(BIN)/python -m chainrule.conformance.mutate
	$(BIN)/python -m chainrule.conformance.mutate.kernel_survey
	$(MAKE) -k gate $(TRITONS:%=gate-%) newest

newest: .venv-newest/stamp         ## the tests with the newest torch and Triton that were tried: their GPU build, 4 GB
	.venv-newest/bin/python -m pytest -n 2 --deselect $(GATE) $(ARGS)

gate: .venv/dev.stamp              ## every shipped configuration compiled for GPUs that need not be here
	$(BIN)/python -m chainrule.triton_kernels.gate --json build/gate.json $(ARGS)

gate-%: build/triton-%             ## the same with another Triton, which lies beside the installed one
	PYTHONPATH=build/triton-$* $(BIN)/python -m chainrule.triton_kernels.gate --json build/gate-$*.json $(ARGS)

# Kept: make would take it for a file on the way, and delete it.
.PRECIOUS: build/triton-%
build/triton-%: | .venv/dev.stamp
	$(BIN)/python -m pip install -q $(PIP_ARGS) --no-deps --target $@.partial triton==$*
	mv $@.partial $@

# Other people's kernels, run in the simulator: beside the environment, without what they ask for.
build/third-party: constraints/third-party.txt | .venv/dev.stamp
	rm -rf $@ $@.partial
	$(BIN)/python -m pip install -q $(PIP_ARGS) --no-deps --target $@.partial -r $<
	mv $@.partial $@

build/scoreboard/tutorials:
	@mkdir -p build/scoreboard
	ln -s $(abspath $(TUTORIALS)) $@

build/jax: constraints/jax.txt | .venv/dev.stamp      ## JAX, for the derived functions that are printed in it
	rm -rf $@ $@.partial
	$(BIN)/python -m pip install -q $(PIP_ARGS) --no-deps --target $@.partial -r $<
	mv $@.partial $@

bench: .venv/dev.stamp build/third-party   ## what runs on a CPU against its goals, and what a training step moves
	@mkdir -p build
	$(BIN)/python -m pytest benchmarks -q -o python_files='bench_*.py' --benchmark-columns=median,iqr,rounds \
		--benchmark-json=build/bench.json $(ARGS)
	$(BIN)/python -m benchmarks.counts --json build/counts.json

gpu: .venv/conformance.stamp       ## check, tune and measure on a GPU in under ten minutes; ARGS=--plan needs none
	$(BIN)/python benchmarks/gpu.py $(ARGS)

readme: gate build/third-party     ## the gate's facts, the counts, and the README's performance block, all again
	$(BIN)/python -m benchmarks.counts --json benchmarks/results/counts.json
	$(BIN)/python -m benchmarks.readme --gate build/gate.json

browser: .venv/dev.stamp build/npm/stamp   ## the pages in a real browser; needs chromium, chromium-driver and npm
	$(BIN)/python -m pytest src/chainrule/conformance/tests/book/test_browser.py $(ARGS)

build/npm/stamp:
	npm install --silent --no-audit --no-fund --prefix build/npm axe-core@4.14.1 pyodide@314.0.7
	@touch $@

scoreboard: .venv/dev.stamp build/third-party build/triton-3.6.0 build/scoreboard/packages build/scoreboard/attorch   ## libraries that people use, judged by one suite
	$(BIN)/python examples/scoreboard.py $(ARGS)

build/scoreboard/packages: constraints/scoreboard.txt | .venv/dev.stamp
	rm -rf $@ $@.partial
	$(BIN)/python -m pip install -q $(PIP_ARGS) --no-deps --target $@.partial -r $<
	mv $@.partial $@
	rm -rf build/scoreboard/onnx-1.22.0
	$(BIN)/python -m pip install -q $(PIP_ARGS) --no-deps --target build/scoreboard/onnx-1.22.0 onnx==1.22.0

build/scoreboard/attorch:
	git clone -q https://github.com/BobMcDear/attorch $@.partial
	git -C $@.partial checkout -q 67c2772
	mv $@.partial $@

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/lint-imports
	$(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/%.stamp: pyproject.toml constraints/cpu.txt | .venv/bin/python
	$(BIN)/python -m pip install -q $(PIP_ARGS) $(CONSTRAINTS) -e ".[$*]"
	@touch $@

.venv-newest/stamp: pyproject.toml constraints/newest.txt
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install -q $(PIP_ARGS) -c constraints/newest.txt -e ".[dev]"
	@touch $@

clean:
	rm -rf .venv .venv-newest build src/*.egg-info
