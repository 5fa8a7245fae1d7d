"""How long single questions take from Python: ``latency.py DATA QUESTIONS [ROUNDS]``, as examples/latency.rs."""

import json
import sys
import time
from pathlib import Path

import rag_core as rag

data, questions, rounds = sys.argv[1], Path(sys.argv[2]).read_text("utf-8").splitlines(), int((sys.argv + ["5"])[3])
engine = rag.Engine.open(data)
times = []
for turn in range(rounds + 1):
    for question in questions:
        begun = time.perf_counter()
        engine.search(question, k=10)
        if turn:
            times.append((time.perf_counter() - begun) * 1e6)
times.sort()
print(json.dumps({"median_us": round(times[len(times) // 2], 1), "p95_us": round(times[len(times) * 95 // 100], 1)}))
