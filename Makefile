# Each target makes what it needs and works on a fresh clone; PYTHON=... chooses the Python (3.11 or newer).
RAY := ray[default]==2.60.0

.PHONY: run demo test torture test-kills check proto diagrams bench sim

run:  ## the head process, with a SQLite store in ~/.local/state/trio-gcs
	scripts/environment .venv .
	.venv/bin/trio-gcs run $(ARGS)

demo:  ## stock Ray on trio-gcs: starts a head node and runs a program that shows what works
	scripts/environment .venv . && scripts/environment .venv-ray '$(RAY)'
	TRIO_GCS_RAY_PYTHON=$(CURDIR)/.venv-ray/bin/python .venv/bin/python -m trio_gcs.demo $(ARGS)

test:  ## every test, with stock Ray; ARGS='tests/unit -k nodes' for some
	scripts/environment .venv '.[test,proto]' && scripts/environment .venv-ray '$(RAY)' && scripts/test_tools
	.venv/bin/python -m pytest --numprocesses=2 --dist=worksteal $(ARGS)

torture:  ## kill -9 ten thousand times (about half an hour; ARGS='--kills 500 --store redis'), nothing acknowledged may be lost
	scripts/environment .venv '.[test,proto]'
	.venv/bin/python -m tests.real.durability.torture $(ARGS)

test-kills:  ## kill -9 a thousand times on each store (half an hour; KILLS=50, ARGS='-k redis'), followers of events may miss nothing
	scripts/environment .venv '.[test,proto]' && scripts/test_tools
	TRIO_GCS_TEST_KILLS=$(or $(KILLS),1000) .venv/bin/python -m pytest -s -o faulthandler_timeout=0 tests/real/events/test_kill.py $(ARGS)

check:  ## format, lint, types, async rules and the rules of the house
	scripts/environment .venv '.[test,check]'
	scripts/check

proto:  ## generated code anew, after a change in protos/
	scripts/environment .venv '.[proto]'
	.venv/bin/python scripts/generate_protos.py

diagrams:  ## docs/states.md anew, after a change of a table of states
	scripts/environment .venv .
	.venv/bin/python scripts/draw_states.py

bench:  ## figures beside those of Ray's own gcs_server, into docs/benchmarks.md
	scripts/environment .venv '.[test]' && scripts/environment .venv-ray '$(RAY)' && scripts/test_tools
	.venv/bin/python -m bench --out docs/benchmarks.md $(ARGS)

sim:  ## the simulated cluster: make sim SEED=7 tells one story, SEED=0 COUNT=1000 runs many
	scripts/environment .venv '.[test]'
	.venv/bin/python -m tests.sim --seed $(or $(SEED),0) --count $(or $(COUNT),1)
