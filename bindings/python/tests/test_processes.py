"""Forks, processes, threads, event loops and Ctrl-C: nothing may hang."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from pathlib import Path

import numpy as np
import pytest
import rag_core as rag

WORDS = ["bread", "snow", "lighthouse", "engine", "meadow", "copper", "violin", "harbour"]
#: Long enough for a slow machine; what hangs does so for ever.
PATIENCE = 120


def documents(number):
    return [{"id": str(i), "text": f"{WORDS[i % 8]} and {WORDS[i // 8 % 8]}, number {i}"} for i in range(number)]


@pytest.fixture
def engine(tmp_path):
    with rag.Engine.open(tmp_path / "data") as engine:
        engine.upsert(documents(400))
        engine.commit()
        yield engine


def in_a_child(work):
    """Runs ``work`` in a forked child; its failure is ours."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, "the child failed"
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the child hangs")


def test_a_forked_child_searches_and_never_writes(engine):
    wanted = engine.search_many(["bread", "snow"])

    def work():
        assert engine.search("bread") == wanted[0]
        assert engine.search_many(["bread", "snow"]) == wanted
        assert asyncio.run(engine.asearch("snow")) == wanted[1]
        with pytest.raises(rag.Conflict, match="was forked"):
            engine.upsert(documents(1))
        with pytest.raises(rag.Conflict, match="was forked"):
            engine.commit()

    in_a_child(work)
    engine.upsert([{"id": "new", "text": "marzipan"}])
    engine.commit()
    assert engine.search("marzipan")[0].id == "new"
    assert engine.verify().repaired == []


def test_what_is_computed_in_the_parent_is_computed_in_the_child(engine):
    embedder, index = rag.Embedder.load(), rag.VectorIndex(16, threads=2)
    vectors = np.random.default_rng(1).standard_normal((2000, 16), np.float32)
    index.add(np.arange(2000, dtype=np.uint64), vectors)
    wanted, found = embedder.encode(WORDS), index.search(vectors[:100], k=3, threads=2)

    def work():
        assert (embedder.encode(WORDS) == wanted).all()
        assert (index.search(vectors[:100], k=3, threads=2)[0] == found[0]).all()
        index.add(np.array([5000], np.uint64), vectors[:1])
        index.build()

    in_a_child(work)


def test_a_fork_in_the_middle_of_everything(engine):
    over = threading.Event()

    def busy(work):
        while not over.is_set():
            work()

    def write():
        engine.upsert([{"id": "changing", "text": f"bread at {time.time()}"}])
        engine.commit()

    def work():
        try:
            assert len(engine.search_many(WORDS)) == len(engine.search("snow", k=8))
        except rag.Conflict as error:
            assert "has changed the folder" in str(error)

    works = [lambda: engine.search_many(WORDS * 4), lambda: engine.search("bread"), lambda: engine.get("3"), write]
    threads = [threading.Thread(target=busy, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            in_a_child(work)
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_a_fork_while_feature_functions_call_back(engine, tmp_path):
    engine.close()
    embedder = rag.Embedder.load()

    def cosine(query, candidates):
        vectors = embedder.encode([query] + [candidate["text"] for candidate in candidates])
        return vectors[1:] @ vectors[0]

    with rag.Engine.open(tmp_path / "data", feature_functions={"my.cosine": cosine}) as engine:
        engine.set_ranker(rag.Ranker.train_linear([[0.0], [1.0]], [0, 1], feature_names=["my.cosine"]))
        over, degraded = threading.Event(), []

        def search():
            while not over.is_set():
                degraded.extend(answer.degraded for answer in engine.search_many(WORDS) if answer.degraded)

        threads = [threading.Thread(target=search) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            in_a_child(lambda: None)
        over.set()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert degraded == []


def test_a_fork_while_several_write_and_build(engine):
    over, failures = threading.Event(), []
    index = rag.VectorIndex(4, m=4, ef_construction=8)
    vectors = np.random.default_rng(1).standard_normal((5100, 4), np.float32)
    index.add(np.arange(5100, dtype=np.uint64), vectors)

    def write(number):
        for step in range(1_000_000):
            if over.is_set():
                return
            try:
                engine.upsert([{"id": f"{number}-{step}-{i}", "text": f"bread {step} {i} " * 20} for i in range(40)])
                index.build()
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(8):
            in_a_child(lambda: (engine.search("snow"), index.search(vectors[0])))
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert failures == [] and not any(thread.is_alive() for thread in threads)


def test_what_others_do_when_a_fork_happens(tmp_path):
    script = f"""
import os, sys
calls = []
os.register_at_fork(after_in_child=lambda: calls.append(engine.search_many(["x", "y"])))
import rag_core as rag
os.register_at_fork(before=lambda: calls.append(engine.search("x")))
engine = rag.Engine.open({str(tmp_path / "data")!r})
engine.upsert([{{"id": "a", "text": "x"}}])
engine.commit()
child = os.fork()
if child == 0:
    os._exit(0 if len(calls) == 2 and engine.search("x")[0].id == "a" else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", script], env=environment, timeout=PATIENCE).returncode == 0


def test_closing_waits_for_calls_under_way(tmp_path):
    engine = rag.Engine.open(tmp_path / "data")
    begun, results = threading.Event(), []

    def write():
        begun.set()
        results.append(engine.upsert([{"id": str(i), "text": f"bread {i} " * 50} for i in range(3000)]).added)

    thread = threading.Thread(target=write)
    thread.start()
    begun.wait()
    time.sleep(0.2)
    engine.close()
    with rag.Engine.open(tmp_path / "data") as again:
        assert again.stats().documents == 0
    thread.join()
    assert results == [3000]


def of_pool(text):
    return POOL_ENGINE.search(text)


def of_spawned(folder):
    with rag.Engine.open(folder) as engine:
        engine.upsert(documents(20))
        engine.commit()
        return engine.search("bread", k=3, explain=True)


def test_pools_of_processes(engine, tmp_path):
    global POOL_ENGINE
    POOL_ENGINE = engine
    with multiprocessing.get_context("fork").Pool(3) as pool:
        answers = pool.map_async(of_pool, WORDS * 5).get(PATIENCE)
    assert answers == [engine.search(text) for text in WORDS] * 5
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        folders = [tmp_path / f"spawned-{i}" for i in range(2)]
        first, second = pool.map_async(of_spawned, folders).get(PATIENCE)
    assert first == second and len(first) == 3


def test_threads_that_read_while_one_writes(engine):
    failures, over = [], threading.Event()

    def read(number):
        while not over.is_set():
            try:
                assert len(engine.search(WORDS[number % 8], k=5)) == 5
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for step in range(5):
        engine.upsert([{"id": f"{step}-{i}", "text": f"bread {step} {i}"} for i in range(50)])
        engine.delete([str(step)])
        engine.commit()
    over.set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert failures == [] and engine.stats().documents == 400 + 250 - 5


def test_an_event_loop_goes_on_while_documents_are_indexed(engine):
    async def everything():
        ticks = []

        async def tick():
            while True:
                ticks.append(time.perf_counter())
                await asyncio.sleep(0.005)

        ticking = asyncio.create_task(tick())
        writing = asyncio.create_task(asyncio.to_thread(engine.upsert, documents(2000)))
        answers = await asyncio.gather(*(engine.asearch(text) for text in WORDS * 10))
        report = await writing
        ticking.cancel()
        return answers, report, np.diff(ticks)

    answers, report, gaps = asyncio.run(asyncio.wait_for(everything(), PATIENCE))
    assert len(answers) == 80 and report.added == 1600
    assert gaps.max() < max(0.25, gaps.sum() / 2), "the loop stood still"


LONG = {
    "upsert": """
        def documents():
            for i in range(1_000_000):
                yield {"id": str(i), "text": f"number {i} " + "word " * 200}
        call = lambda: engine.upsert(documents())
    """,
    "upsert of a list": """
        many = [{"id": str(i), "text": f"number {i} " + f"word{i % 977} " * 300} for i in range(30_000)]
        call = lambda: engine.upsert(many)
    """,
    "search_many": """
        texts = [f"alpha beta {i}" for i in range(300_000)]
        call = lambda: engine.search_many(texts)
    """,
    "encode": """
        texts = [f"number {i} " + "word " * 200 for i in range(200_000)]
        embedder = rag.Embedder.load()
        call = lambda: embedder.encode(texts)
    """,
    "build": """
        import numpy as np
        index = rag.VectorIndex(64)
        vectors = np.random.default_rng(1).standard_normal((60_000, 64), np.float32)
        index.add(np.arange(60_000, dtype=np.uint64), vectors)
        call = index.build
    """,
    "train": """
        import numpy as np
        X = np.random.default_rng(1).standard_normal((2000, 20), np.float32)
        y = (X[:, 0] > 0).astype(int)
        call = lambda: rag.Ranker.train(X, y, [100] * 20, num_trees=1_000_000, learning_rate=1e-6)
    """,
}


@pytest.mark.parametrize("name", LONG)
def test_ctrl_c_ends_what_takes_long(name, tmp_path):
    script = f"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background leaves it ignored
import rag_core as rag
engine = rag.Engine.open({str(tmp_path / "data")!r})
engine.upsert([{{"id": "kept", "text": "alpha beta"}}])
engine.commit()
{textwrap.dedent(LONG[name])}
print("begins", flush=True)
try:
    call()
    print("ended by itself")
except KeyboardInterrupt:
    print("interrupted", flush=True)
engine.rollback()
print([hit.id for hit in engine.search("alpha")], engine.stats().documents)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout.readline() == "begins\n"
        time.sleep(0.3)
        pressed = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        took = time.monotonic() - pressed
        rest, _ = process.communicate(timeout=PATIENCE)
        assert rest == "['kept'] 1\n" and process.returncode == 0
        assert took < 30, f"it took {took:.1f} s"
    finally:
        process.kill()


APPLICATION = """
import threading
import rag_core as rag

engine = rag.Engine.open({folder!r})
wanted = [hit.id for hit in engine.search_many(["bread"])[0]]


def app(environ, start_response):
    found = [[hit.id for hit in engine.search(environ["QUERY_STRING"])]]
    found += [[hit.id for hit in answer] for answer in engine.search_many(["bread"] * 4)]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(all(ids == wanted for ids in found)).encode()]
"""


def test_gunicorn_forks_workers_from_a_loaded_engine(tmp_path):
    pytest.importorskip("gunicorn")
    with rag.Engine.open(tmp_path / "data") as engine:
        engine.upsert(documents(400))
    (tmp_path / "application.py").write_text(APPLICATION.format(folder=str(tmp_path / "data")), "utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "3", "--threads", "2"]
    command += ["--bind", f"unix:{tmp_path / 'socket'}", "--log-file", str(tmp_path / "log"), "application:app"]
    with subprocess.Popen(command, env=environment, cwd=tmp_path) as server:
        try:
            end = time.monotonic() + PATIENCE
            while not (tmp_path / "socket").exists():
                assert time.monotonic() < end and server.poll() is None, (tmp_path / "log").read_text("utf-8")
                time.sleep(0.05)
            answers = [ask(tmp_path / "socket") for _ in range(20)]
            assert answers == [b"True"] * 20
        finally:
            server.terminate()
        assert server.wait(PATIENCE) == 0


def ask(path: Path) -> bytes:
    import http.client
    import socket

    class Connection(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(PATIENCE)
            self.sock.connect(str(path))

    connection = Connection("localhost")
    connection.request("GET", "/?bread")
    return connection.getresponse().read()
