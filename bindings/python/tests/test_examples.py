"""The programs in examples/ run, and do what they say."""

import runpy
from pathlib import Path

import rag_core as rag

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_the_story_of_retrieval(capsys):
    story = runpy.run_path(str(EXAMPLES / "retrieval.py"))
    documents = {document["id"] for document in story["documents"]}
    for question, judged in story["QRELS"].items():
        assert judged.keys() <= documents, f"{question}: the documentation has no section of this name any more"
    found = rag.evaluate(story["QRELS"], story["runs"]["engine"], ["ndcg@10"])["ndcg@10"]
    assert found > 0.5
    assert "convex(min_max)" in capsys.readouterr().out


def test_the_service(capsys):
    runpy.run_path(str(EXAMPLES / "service.py"), run_name="__main__")
    output = capsys.readouterr().out
    assert "answers a second" in output and "parcel 7: ['7'" in output
