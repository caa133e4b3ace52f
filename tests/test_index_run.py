"""Two months on the command line: run, add, run against the index, take down; every folder verifies."""

from __future__ import annotations

import json
import random
from pathlib import Path

from conftest import mdfs

RECIPE = """
name = "months"
[dedup]
url = true
exact = true
[dedup.minhash]
"""
HAN = [chr(code) for code in range(0x4E00, 0x4E00 + 3_000)]


def month(path: Path, texts: dict[str, str]) -> Path:
    """A JSONL file of texts by their URL."""
    lines = (json.dumps({"id": url, "url": url, "text": text}, ensure_ascii=False) for url, text in texts.items())
    path.write_text("\n".join(lines), "utf-8")
    return path


def said(*arguments: str | Path) -> dict:
    finished = mdfs(*arguments, "--json")
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_two_months_and_a_takedown(tmp_path):
    rng = random.Random(1)
    old = {f"http://a.cn/{i}": "".join(rng.choices(HAN, k=300)) + "。" for i in range(8)}
    new = {f"http://b.cn/{i}": text + "转载自网络。" for i, text in enumerate(list(old.values())[:5])}
    new |= {f"http://b.cn/n{i}": "".join(rng.choices(HAN, k=300)) + "。" for i in range(3)}
    recipe, index = tmp_path / "months.toml", tmp_path / "index"
    recipe.write_text(RECIPE, "utf-8")
    outs = []
    for name, texts in (("may", old), ("june", new)):
        outs.append(tmp_path / f"out-{name}")
        command = ["run", "--recipe", recipe, "--input", month(tmp_path / f"{name}.jsonl", texts), "--output", outs[-1],
                   "--index", index, "--index-add"]  # fmt: skip
        first = said(*command)
        assert said(*command)["totals"] == first["totals"]  # started again, it is no copy of itself
        assert first["totals"]["docs"] == {"may": 8, "june": 3}[name]
        assert said("verify", outs[-1])["ok"]
    shown = said("index", "show", index)
    assert (shown["version"], shown["documents"], len(shown["runs"])) == (2, 16, 2)
    assert said("index", "add", index, outs[1])["added"] is False
    refused = mdfs("dedup", "--output", outs[1], "--index", tmp_path / "nothing")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert said("withdraw", outs[0], "--source", "may")["in_shards"] == 8
    assert said("verify", outs[0])["ok"]
    held = b"".join(path.read_bytes() for path in outs[0].rglob("*.html"))
    assert not [text for text in old.values() if text[:20].encode() in held]
    again = mdfs("run", "--recipe", recipe, "--input", tmp_path / "may.jsonl", "--output", outs[0])
    assert again.returncode == 2
    assert "were withdrawn from this folder" in again.stderr
    assert said("index", "remove", index, "--source", "may")["removed"] == 8
