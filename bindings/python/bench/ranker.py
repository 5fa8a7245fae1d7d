"""What Ranker.score costs by rows a call: ``ranker.py MODEL [ROUNDS]``; medians of interleaved rounds."""

import statistics
import sys
import time

import numpy as np
import rag_core as rag

ranker, rounds = rag.Ranker.load(sys.argv[1]), int((sys.argv + ["9"])[2])
X = np.random.default_rng(1).standard_normal((1000, ranker.num_features), np.float32)
forms = {"float32": X, "float64": X.astype(np.float64)}
taken: dict[tuple[str, int], list[float]] = {(form, rows): [] for form in forms for rows in (1, 10, 100, 1000)}
for _ in range(rounds):
    for (form, rows), times in taken.items():
        given, calls = forms[form][:rows], max(10, 10_000 // rows)
        begun = time.perf_counter()
        for _ in range(calls):
            ranker.score(given)
        times.append((time.perf_counter() - begun) / calls)
for (form, rows), times in taken.items():
    print(f"{form} {rows:5} rows: {statistics.median(times) * 1e6:9.2f} µs a call")
