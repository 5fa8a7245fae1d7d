"""The README's examples, as they stand."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_examples_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    names = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert names["answer"][0].id == "bakery" and names["answers"][0][0].id == "rye"
    assert names["hit"].id == "rye" and names["hit"].explain.ltr.weight == 1
    assert sorted(names["ids"][0]) == [10, 11] and set(names["fused"]["q1"]) == {"a", "b", "c"}
    assert names["served"].gate.reason == "canary" and names["report"]["queries"] == 3
