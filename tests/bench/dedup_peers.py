"""Near-copies of the same documents by mdfs and by others: ratio of CPU time, and what each removes.

Usage: python tests/bench/dedup_peers.py [--docs 200000] [--peers datasketch,text_dedup,datatrove] [--folder DIR]
           [--python PEERS_PYTHON] [--text-dedup-python PYTHON]

mdfs does its whole stage, local engine with two workers: keys, candidates, exact verification, clusters, duplicates; it
reads Parquet, as its rules leave it. datasketch: MinHash and MinHashLSH, insert, query and clusters. text-dedup: its
`minhash` command, with the faster of its hashes. datatrove: signatures, buckets, clusters, filter. These read JSONL.
All take 128 permutations in 18 bands of 7, mdfs's own for Jaccard 0.8 and recall 0.95, and 5-grams of characters; for
datasketch a text's n-grams, for the other two, which cut words only, the words, since each text's characters stand apart
by blanks. The peers live in environments of their own: `--python` has datasketch and datatrove, `--text-dedup-python`
text-dedup (which wants another datasets). Each program is a process of its own; CPU seconds are all of it and its
children, imports and start included, and nothing is taken off.

"alike" is how many a perfect program would remove: documents less clusters of those at Jaccard 0.8 and above, by the sets
themselves. mdfs removes fewer, by what the bands miss, and none below 0.8. The others verify nothing: they remove what
shares a band, at Jaccard 0.7 still 79 of 100 pairs, so more than "alike". datasketch's own choice for 0.8, 9 bands of
13, misses 0.6 of the pairs at 0.8, and would have nearly the same time: the signatures are its work.

A peer that fails is "not_measured", with its last line. text-dedup is 0.4.0 of PyPI; datatrove, 0.10.1, needs beside what
it asks for itself tokenizers, spacy and xxhash below 4, since it hands strings to xxhash and 4 takes bytes only.
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

import pyarrow as pa

NGRAM, NUM_PERM, THRESHOLD = 5, 128, 0.8
BANDS, ROWS = 18, 7

#: Leaves part files as the rules do; not measured.
PREPARE = """
import json, sys
sys.path[:0] = [{tests!r}, {tests!r} + "/dedup"]
from dedup_corpus import doc, make_run
from mdfs.recipe import Dedup
docs = [doc(str(i), json.loads(line)["text"]) for i, line in enumerate(open({jsonl!r}))]
make_run({out!r}, Dedup(), docs, parts=-(-len(docs) // 20_000))
"""

MDFS = """
import json
from mdfs import engine
from mdfs.dedup import stage
from mdfs.ledger import total
from mdfs.progress import Progress
from mdfs.recipe import Dedup, MinHash, Recipe
from mdfs.stage import Run
from mdfs.storage import Store
minhash = MinHash(ngram={ngram}, num_perm={perm}, threshold={threshold})
run = Run(Store({out!r}), Recipe("bench", dedup=Dedup(minhash=minhash)), engine.create("local", 2), Progress(quiet=True))
stage.run(run)
run.engine.close()
print(json.dumps(total(run.ledger.rows("dedup").values(), "dedup").docs_dropped))
"""

DATASKETCH = """
import json
from datasketch import MinHash, MinHashLSH
lsh, cluster = MinHashLSH(num_perm={perm}, params=({bands}, {rows})), []
def first(i):
    while cluster[i] != i:
        cluster[i] = i = cluster[cluster[i]]
    return i
for i, line in enumerate(open({jsonl!r})):
    text = json.loads(line)["text"].replace(" ", "")
    sketch = MinHash(num_perm={perm})
    sketch.update_batch([text[k : k + {ngram}].encode() for k in range(len(text) - {ngram} + 1)])
    cluster.append(i)
    for other in lsh.query(sketch):
        cluster[first(other)] = first(i)
    lsh.insert(i, sketch)
print(sum(first(i) != i for i in range(len(cluster))))
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
print(removed)
"""


def write_texts(path: Path, docs: int) -> dict[int, list[str]]:
    """Chinese characters with blanks between; a fifth are copies with 1 to 30 characters changed.

    Returns:
        The texts of each original that has copies, itself first, without blanks.
    """
    rng = random.Random(1)
    han = [chr(code) for code in range(0x4E00, 0x4E00 + 3_000)]
    seen: list[list[str]] = []
    families: dict[int, list[str]] = {}
    with path.open("w") as file:
        for _ in range(docs):
            if seen and rng.random() < 0.2:
                original = rng.randrange(len(seen))
                letters = list(seen[original])
                for _ in range(rng.randrange(1, 30)):
                    letters[rng.randrange(len(letters))] = rng.choice(han)
                families.setdefault(original, ["".join(seen[original])]).append("".join(letters))
            else:
                letters = rng.choices(han, k=rng.randrange(200, 1_200))
                if len(seen) < 20_000:
                    seen.append(letters)
            file.write(json.dumps({"text": " ".join(letters)}, ensure_ascii=False) + "\n")
    return families


def alike(texts: list[str]) -> int:
    """How many of these texts go when of each cluster at `THRESHOLD` and above, by the sets of n-grams, one stays."""
    sets = [{text[k : k + NGRAM] for k in range(len(text) - NGRAM + 1)} for text in texts]
    cluster = list(range(len(sets)))
    for j, one in enumerate(sets):
        for i in range(j):
            both = len(sets[i] & one)
            if cluster[i] != cluster[j] and both >= THRESHOLD * (len(sets[i]) + len(one) - both):
                cluster = [cluster[i] if c == cluster[j] else c for c in cluster]
    return len(sets) - len(set(cluster))


def kept_rows(folder: str) -> int:
    """Documents in a folder that Hugging Face's datasets has written."""
    found = 0
    for path in Path(folder).glob("*.arrow"):
        with pa.memory_map(str(path)) as source:
            found += sum(batch.num_rows for batch in pa.ipc.open_stream(source))
    return found


def timed(command: list[str], folder: str) -> dict[str, object]:
    """CPU seconds of a program, and how many documents it says it has removed."""
    before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ | {"HF_HOME": folder})
    used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before
    if done.returncode:
        return {"not_measured": (done.stderr.strip().splitlines() or ["no message"])[-1][:200]}
    lines = done.stdout.strip().splitlines()
    return {"cpu_s": round(used, 1), "removed": int(lines[-1]) if lines and lines[-1].isdigit() else None}


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
    families = write_texts(Path(jsonl), said.docs)
    filled = {
        "jsonl": jsonl, "folder": f"{folder}/texts", "tests": str(Path(__file__).parents[1]), "ngram": NGRAM,
        "perm": NUM_PERM, "threshold": THRESHOLD, "bands": BANDS, "rows": ROWS,
    }  # fmt: skip
    text_dedup = [
        said.text_dedup_python, "-m", "text_dedup.minhash", "--path", "json", "--data_files", jsonl, "--split", "train",
        "--output", f"{folder}/td", "--column", "text", "--threshold", str(THRESHOLD), "--num_perm", str(NUM_PERM),
        "--ngram", str(NGRAM), "--min_length", "0", "--b", str(BANDS), "--r", str(ROWS), "--hash_func", "xxh3",
    ]  # fmt: skip
    commands = {
        "mdfs": [sys.executable, "-c", MDFS.format(out=f"{folder}/ours", **filled)],
        "datasketch": [said.python, "-c", DATASKETCH.format(**filled)],
        "datatrove": [said.python, "-c", DATATROVE.format(out=f"{folder}/dt", **filled)],
        "text_dedup": text_dedup,
    }
    subprocess.run([sys.executable, "-c", PREPARE.format(out=f"{folder}/ours", **filled)], check=True)
    figures: dict[str, dict[str, object]] = {}
    for name in ("mdfs", *said.peers.split(",")):
        found = figures[name] = timed(commands[name], folder)
        if name == "text_dedup" and "cpu_s" in found:
            found["removed"] = said.docs - kept_rows(f"{folder}/td")
        if name != "mdfs" and "cpu_s" in found and "cpu_s" in figures["mdfs"]:
            found["x"] = round(float(str(found["cpu_s"])) / float(str(figures["mdfs"]["cpu_s"])), 1)
        print(json.dumps({name: found}), file=sys.stderr, flush=True)
    print(json.dumps({"docs": said.docs, "alike": sum(map(alike, families.values()))} | figures))
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
