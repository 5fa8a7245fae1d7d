"""What many calls leave behind, and which threads work.

``RAG_SOAK=N`` multiplies the number of calls; the figures of a release are of a release build and ``RAG_SOAK=100``.
"""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
import rag_core as rag

SOAK = int(os.environ.get("RAG_SOAK", "1"))


def resident():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth(work, warm, times):
    """Megabytes by which the process grew in ``times`` calls, after ``warm`` calls that may fill what is kept."""
    for number in range(warm):
        work(number)
    before = resident()
    for number in range(times):
        work(number)
    return resident() - before


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_opening_and_closing_leaves_nothing_behind(tmp_path):
    with rag.Engine.open(tmp_path / "data") as engine:
        engine.upsert([{"id": str(i), "text": f"bread number {i}"} for i in range(50)])

    def cycle(number):
        with rag.Engine.open(tmp_path / "data") as engine:
            assert len(engine.search("bread", k=3)) == 3
            if number % 10 == 0:
                engine.upsert([{"id": "changing", "text": f"snow {number}"}])

    assert growth(cycle, 15, 10 * SOAK) < 25


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_searching_leaves_nothing_behind(tmp_path):
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((300, 8), np.float32)
    index = rag.VectorIndex(8)
    index.add(np.arange(300, dtype=np.uint64), vectors)
    batch = np.tile(vectors, (20, 1))
    with rag.Engine.open(tmp_path / "data") as engine:
        engine.upsert([{"id": str(i), "text": f"bread number {i}", "metadata": {"n": i}} for i in range(50)])
        engine.commit()

        def search(number):
            index.search(vectors[number % 300], k=5)
            engine.search(f"bread {number % 50}", k=3, explain=True, filter={"exists": "n"})
            if number % 20 == 0:
                index.search(batch, k=5, threads=2)
                engine.search_many(["bread", "snow"])
            with pytest.raises(rag.InvalidArgument):
                index.search(vectors[0], k=0)

        assert growth(search, 300, 400 * SOAK) < 25


def work_of_threads():
    """Processor time of every thread of the index, in nanoseconds."""
    times = {}
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text("utf-8").startswith("rag-vectors"):
            times[task.name] = int((task / "schedstat").read_text("ascii").split()[0])
    return times


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="reads /proc")
def test_a_batch_uses_the_threads_that_it_is_given():
    rng = np.random.default_rng(1)
    vectors, queries = rng.standard_normal((20_000, 64), np.float32), rng.standard_normal((200, 64), np.float32)
    index = rag.VectorIndex(64, threads=3)
    index.add(np.arange(20_000, dtype=np.uint64), vectors)
    found, _ = index.search(queries, threads=3)
    for threads in (1, 3):
        before = work_of_threads()
        assert (index.search(queries, threads=threads)[0] == found).all()
        worked = [task for task, time in work_of_threads().items() if time - before[task] > 1_000_000]
        # One is the calling thread itself. Where a thread got no processor the others took its part.
        assert len(worked) == 0 if threads == 1 else len(worked) >= 2, (threads, worked)
