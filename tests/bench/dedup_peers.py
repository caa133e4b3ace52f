"""Near-copies of the same documents by mdfs and by others: ratio of CPU time, and what each removes.

Usage: python tests/bench/dedup_peers.py [--docs 200000] [--peers datasketch,text_dedup,datatrove] [--folder DIR]
           [--python PEERS_PYTHON] [--text-dedup-python PYTHON]

mdfs does its whole stage, local engine: keys, candidates, exact verification, clusters, duplicates. datasketch: MinHash and
MinHashLSH, insert and query. text-dedup: its `minhash` command. datatrove: signatures, buckets, clusters, filter.
All take Jaccard 0.8, 128 permutations (datatrove 14 bands of 9, the nearest to them) and 5-grams of characters; for
datasketch a text's n-grams, for the other two, which cut words only, the words, since each text's characters stand apart
by blanks. The peers live in environments of their own: `--python` has datasketch and datatrove, `--text-dedup-python`
text-dedup (which wants another datasets). Each program is a process of its own; CPU seconds are of it and its children.

A peer that fails is "not_measured", with its last line. text-dedup is 0.4.0 of PyPI; datatrove needs tokenizers beside
what it asks for itself. With few documents the start of mdfs's workers, 3 CPU seconds, is most of its time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NGRAM, NUM_PERM, THRESHOLD = 5, 128, 0.8
BANDS, ROWS = 14, 9

MDFS = """
import sys
sys.path[:0] = [{tests!r}, {tests!r} + "/dedup"]
import json
from dedup_corpus import doc, make_run
from mdfs import engine
from mdfs.dedup import stage
from mdfs.ledger import total
from mdfs.recipe import Dedup, MinHash
docs = [doc(str(i), json.loads(line)["text"]) for i, line in enumerate(open({jsonl!r}))]
import resource
before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
run = make_run({out!r}, Dedup(minhash=MinHash()), docs, parts=-(-len(docs) // 20_000), with_engine=engine.create("local", 2))
made = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
stage.run(run)
run.engine.close()
print(json.dumps([total(run.ledger.rows("dedup").values(), "dedup").docs_dropped, made]))
"""

DATASKETCH = """
import json
from datasketch import MinHash, MinHashLSH
lsh, removed = MinHashLSH(threshold={threshold}, num_perm={perm}), 0
for i, line in enumerate(open({jsonl!r})):
    text = json.loads(line)["text"].replace(" ", "")
    sketch = MinHash(num_perm={perm})
    sketch.update_batch([text[k : k + {ngram}].encode() for k in range(len(text) - {ngram} + 1)])
    removed += bool(lsh.query(sketch))
    lsh.insert(str(i), sketch)
print(json.dumps([removed, 0]))
"""

DATATROVE = """
import json, glob
from datatrove.executor import LocalPipelineExecutor as Do
from datatrove.pipeline.dedup import MinhashDedupSignature, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.typeshelper import Languages
out, folder = {out!r}, {folder!r}
config = MinhashConfig(n_grams={ngram}, num_buckets={bands}, hashes_per_bucket={rows}, hash_config=HashConfig(precision=64))
read = lambda: JsonlReader(folder, glob_pattern="*.jsonl")
steps = [
    ([read(), MinhashDedupSignature(output_folder=out + "/s", config=config, language=Languages.english)], 1),
    ([MinhashDedupBuckets(input_folder=out + "/s", output_folder=out + "/b", config=config)], {bands}),
    ([MinhashDedupCluster(input_folder=out + "/b", output_folder=out + "/c", config=config)], 1),
    ([read(), MinhashDedupFilter(input_folder=out + "/c", exclusion_writer=JsonlWriter(out + "/r", compression=None)),
      JsonlWriter(out + "/k", compression=None)], 1),
]
for i, (pipeline, tasks) in enumerate(steps):
    Do(pipeline=pipeline, tasks=tasks, workers=1, logging_dir=out + "/log%d" % i).run()
removed = sum(sum(1 for _ in open(path)) for path in glob.glob(out + "/r/*.jsonl"))
print(json.dumps([removed, 0]))
"""


def write_texts(path: Path, docs: int) -> None:
    """Chinese characters with blanks between; a fifth are copies with 1 to 30 characters changed."""
    rng = random.Random(1)
    han, seen = [chr(code) for code in range(0x4E00, 0x4E00 + 3_000)], []
    with path.open("w") as file:
        for _ in range(docs):
            if seen and rng.random() < 0.2:
                letters = list(rng.choice(seen))
                for _ in range(rng.randrange(1, 30)):
                    letters[rng.randrange(len(letters))] = rng.choice(han)
            else:
                letters = rng.choices(han, k=rng.randrange(200, 1_200))
                if len(seen) < 20_000:
                    seen.append(letters)
            file.write(json.dumps({"text": " ".join(letters)}, ensure_ascii=False) + "\n")


def timed(command: list[str], folder: str) -> dict[str, object]:
    """CPU seconds of a program, and how many documents it says it has removed."""
    before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before
    if done.returncode:
        return {"not_measured": (done.stderr.strip().splitlines() or ["no message"])[-1][:200]}
    lines = done.stdout.strip().splitlines()
    removed, spent = json.loads(lines[-1]) if lines and lines[-1].startswith("[") else (None, 0)
    return {"cpu_s": round(used - spent, 1), "removed": removed}


def main() -> None:
    """Print figures and ratios as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--docs", type=int, default=200_000)
    parser.add_argument("--peers", default="datasketch,text_dedup,datatrove")
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--text-dedup-python", default=sys.executable)
    said = parser.parse_args()
    folder = os.path.join(said.folder, "mdfs-dedup-peers")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(f"{folder}/texts")
    jsonl = f"{folder}/texts/docs.jsonl"
    write_texts(Path(jsonl), said.docs)
    filled = {
        "jsonl": jsonl, "folder": f"{folder}/texts", "tests": str(Path(__file__).parents[1]), "ngram": NGRAM,
        "perm": NUM_PERM, "threshold": THRESHOLD, "bands": BANDS, "rows": ROWS,
    }  # fmt: skip
    text_dedup = [
        said.text_dedup_python, "-m", "text_dedup.minhash", "--path", "json", "--data_files", jsonl, "--split", "train",
        "--output", f"{folder}/td", "--column", "text", "--threshold", str(THRESHOLD), "--num_perm", str(NUM_PERM),
        "--ngram", str(NGRAM), "--min_length", "0",
    ]  # fmt: skip
    commands = {
        "mdfs": [sys.executable, "-c", MDFS.format(out=f"{folder}/mdfs", **filled)],
        "datasketch": [said.python, "-c", DATASKETCH.format(**filled)],
        "datatrove": [said.python, "-c", DATATROVE.format(out=f"{folder}/dt", **filled)],
        "text_dedup": text_dedup,
    }
    figures = {name: timed(commands[name], folder) for name in ("mdfs", *said.peers.split(","))}
    for name, found in figures.items():
        if name != "mdfs" and "cpu_s" in found and "cpu_s" in figures["mdfs"]:
            found["x"] = round(float(str(found["cpu_s"])) / float(str(figures["mdfs"]["cpu_s"])), 1)
    print(json.dumps({"docs": said.docs} | figures))
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
