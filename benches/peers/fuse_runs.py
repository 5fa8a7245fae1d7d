"""Fusion of three runs of 1,000 hits, one thread: this library beside ranx, in one run, taking turns.

    pip install ranx                                   # and the wheel of this library, for its Python binding
    cargo build --release -p rag-peers
    python benches/peers/fuse_runs.py [--rounds 7] [--queries 100] [--program target/release/fuse_runs]

Half of the documents of a run are in each of the others. Each side has its runs in its own form before the clock
starts: ranx its `Run` objects, the program its `Run`s (ids as numbers, then as strings), the binding dictionaries,
which it reads and writes within the time. ranx is warmed up first, which compiles it. A figure is the median over the
rounds of microseconds a query; scores are compared before.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time
from functools import partial

os.environ["NUMBA_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import ranx  # noqa: E402

try:
    import rag_core
except ImportError:
    rag_core = None

WEIGHTS = [0.2, 0.5, 0.3]
CASES = [("rrf", "none"), ("sum", "min_max"), ("mnz", "z_score")]


def runs(rng, queries):
    answer = [{}, {}, {}]
    for query in range(queries):
        for run in answer:
            ids = rng.choice(2000, 1000, replace=False)
            scores = np.sort(rng.gamma(2.0, 3.0, 1000))[::-1]
            run[f"q{query}"] = {f"d{i:06}": float(s) for i, s in zip(ids, scores, strict=True)}
    return answer


def by_ranx(method, norm, of_ranx):
    # The same formula: weights go to ranx's methods that have them, and 1 to the program's others.
    if method == "rrf":
        return ranx.fuse(of_ranx, norm=None, method="rrf")
    if method == "sum":
        return ranx.fuse(of_ranx, norm="min-max", method="wsum", params={"weights": WEIGHTS})
    return ranx.fuse(of_ranx, norm="zmuv", method="mnz")


def by_binding(data, method, options):
    return rag_core.fuse(data, method, weights=WEIGHTS, **options)


def timed(work):
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e6


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--queries", type=int, default=100)
    arguments.add_argument("--program", default="target/release/fuse_runs")
    arguments = arguments.parse_args()
    data = runs(np.random.default_rng(1), arguments.queries)
    of_ranx = [ranx.Run(run) for run in data]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "runs.json"
        path.write_text(json.dumps([[list(run[q].items()) for run in data] for q in data[0]]))
        program = subprocess.Popen([arguments.program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def ours(method, norm):
            program.stdin.write(f"{method} {norm}\n")
            program.stdin.flush()
            return [float(value) for value in program.stdout.readline().split()]

        for method, norm in CASES:
            figures = {"numbers": [], "strings": [], "ranx": [], "python": []}
            fused = by_ranx(method, norm, of_ranx)  # compiles
            if method == "sum":
                total = sum(sum(answer.values()) for answer in fused.run.values())
                assert abs(total - ours(method, norm)[2]) < 1e-6 * abs(total)
            for _ in range(arguments.rounds):
                numbers, strings, _ = ours(method, norm)
                figures["numbers"].append(numbers)
                figures["strings"].append(strings)
                figures["ranx"].append(timed(partial(by_ranx, method, norm, of_ranx)) / arguments.queries)
                if rag_core:
                    options = {} if method == "rrf" else {"normalization": norm}
                    figures["python"].append(timed(partial(by_binding, data, method, options)) / arguments.queries)
            medians = {name: statistics.median(all) for name, all in figures.items() if all}
            parts = [f"{name} {value:.1f} us (ranx {medians['ranx'] / value:.1f}x)" for name, value in medians.items()]
            print(f"{method}, {norm}: {', '.join(parts)}", flush=True)
        program.stdin.close()
        program.wait()


if __name__ == "__main__":
    main()
