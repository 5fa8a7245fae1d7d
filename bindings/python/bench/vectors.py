"""How a batch of VectorIndex.search scales with threads: ``vectors.py [ROUNDS]``; medians of interleaved rounds."""

import os
import statistics
import sys
import time

import numpy as np
import rag_core as rag

rounds = int((sys.argv + ["7"])[1])
rng = np.random.default_rng(1)
vectors, queries = rng.standard_normal((50_000, 128), np.float32), rng.standard_normal((200, 128), np.float32)
index = rag.VectorIndex(128)
index.add(np.arange(len(vectors), dtype=np.uint64), vectors)
times = {threads: [] for threads in range(1, (os.cpu_count() or 1) + 1)}
for _ in range(rounds):
    for threads, taken in times.items():
        begun = time.perf_counter()
        index.search(queries, k=10, threads=threads)
        taken.append(time.perf_counter() - begun)
one = statistics.median(times[1])
for threads, taken in times.items():
    median = statistics.median(taken)
    print(f"{threads} threads: {len(queries) / median:8.0f} queries/s, × {one / median:.2f}")
