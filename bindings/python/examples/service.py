"""Many questions at once in asyncio, as in a web service: each has a deadline, and the event loop is never held up.

python service.py
"""

import asyncio
import tempfile
import time

import rag_core as rag

QUESTIONS = [f"parcel {number} is late" for number in range(200)]


async def answer(engine: rag.Engine, question: str) -> list[str] | None:
    """What a request handler would do."""
    try:
        found = await engine.asearch(question, k=3, timeout=5.0)
    except rag.DeadlineExceeded:
        return None
    return [hit.id for hit in found]


async def serve(engine: rag.Engine) -> tuple[list[list[str] | None], float, float]:
    """Answers all questions, and meanwhile looks how late a timer of the loop is."""
    longest, over = 0.0, asyncio.Event()

    async def look() -> None:
        nonlocal longest
        while not over.is_set():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before - 0.001)

    looking = asyncio.create_task(look())
    started = time.perf_counter()
    answers = await asyncio.gather(*(answer(engine, question) for question in QUESTIONS))
    seconds = time.perf_counter() - started
    over.set()
    await looking
    return answers, seconds, longest


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, rag.Engine.open(folder) as engine:
        engine.upsert({"id": str(number), "text": f"Parcel {number} left the depot."} for number in range(5000))
        engine.commit()
        answers, seconds, longest = asyncio.run(serve(engine))
        print(
            f"{len(answers) / seconds:.0f} answers a second; the loop was held up for {longest * 1000:.1f} ms at most"
        )
        print("parcel 7:", answers[7])
