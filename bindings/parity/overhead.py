"""What a call from Python or Node costs over the same call in Rust.

    overhead.py DATA QUESTIONS --rust PROGRAM [--python PYTHON] [--node NODE] [--turns 5]

DATA is a data folder (``cargo run --release -p rag-examples --example scale -- --documents 100000 --data DATA``),
QUESTIONS a file with a question a line, PROGRAM the built example ``latency``; all of release builds. Each turn asks
every question in each language, one language after the other, and the medians of the turns are compared.
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data")
parser.add_argument("questions")
parser.add_argument("--rust", required=True)
parser.add_argument("--python")
parser.add_argument("--node")
parser.add_argument("--turns", type=int, default=5)
given = parser.parse_args()

programs = {"rust": [given.rust]}
if given.python:
    programs["python"] = [given.python, str(HERE / "../python/bench/latency.py")]
if given.node:
    programs["node"] = [given.node, str(HERE / "../node/bench/latency.mjs")]
found = {name: [] for name in programs}
for _ in range(given.turns):
    for name, program in programs.items():
        run = subprocess.run([*program, given.data, given.questions], check=True, stdout=subprocess.PIPE, text=True)
        found[name].append(json.loads(run.stdout))
for measure in ("median_us", "p95_us"):
    medians = {name: statistics.median(turn[measure] for turn in turns) for name, turns in found.items()}
    for name, value in medians.items():
        # A turn of one language against the turn of Rust right before it: noise of the machine is common to both.
        ratios = [turn[measure] / rust[measure] for turn, rust in zip(found[name], found["rust"], strict=True)]
        print(f"{measure:10} {name:7} {value:9.1f}  × {statistics.median(ratios):.3f}")
