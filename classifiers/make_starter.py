"""Make the starter artifacts (a fastText model, a small BERT, a cascade of both) from the development data.

Steps, each of which reads what the one before left in the work folder: `data` (read, decontaminate, split, derive),
`fasttext`, `bert` (prune the encoder, store it in 4 bits, train a head on its states), `pack` (ONNX graph, calibration,
thresholds, cards). The texts stay in the work folder; only weights, tokenizer and cards go out.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
from mdfs.classifiers import probe
from mdfs.classifiers.calibrate import fields_of, reseal
from mdfs.classifiers.datasets import (
    LABELS,
    SOURCES,
    Doc,
    decontaminate,
    describe,
    join_near_duplicates,
    read_labelled,
    read_rows,
    read_source,
    split,
)
from mdfs.classifiers.evaluate import agreement, ask, evaluation, fit_temperature, report, softmax
from mdfs.classifiers.export_onnx import export
from mdfs.classifiers.prune import prune
from mdfs.classifiers.quantise import Bits, quantise
from mdfs.classifiers.synthesize import derive
from mdfs.classifiers.train_bert import one_hot
from mdfs.classifiers.train_fasttext import Settings as FastTextSettings
from mdfs.classifiers.train_fasttext import train_artifact

from mdfs.classify import Classifier, load, read_card, seal
from mdfs.classify.artifact import sha256_of
from mdfs.classify.bert import Bert, installed_backends
from mdfs.classify.tokens import Windows

WRITTEN = tuple(sorted((Path(__file__).parent / "data").glob("written*.jsonl")))
"""Texts written for this project; a group-aware fifth of them is held out and measured by `floors.json`."""

OWN = {
    "written": "written for this project",
    "modelled": "written for this project after reading pages of the same kind",
}
"""Sources of `WRITTEN`, and their origin in a card; those of files with a name in "modelled" are the second."""

SALT, SHARE = "starter 1", 0.18
WINDOWS = {"fasttext": Windows(300, 900, 300, 6), "bert": Windows(72, 180, 59, 6)}
"""Characters for fastText, tokens for BERT (with 9 special ones 320). Pages are 5,000 characters and more, and their
first 200 often a menu."""

DERIVED = {
    "fasttext": {"ad": 6000, "low": 6000, "high": 6000},
    "bert": {"ad": 1600, "low": 1600, "high": 2000},
    "held": {"ad": 200, "low": 200, "high": 200},
}
"""How many documents are derived for each model's training, and for the held-out part."""

SEEDS = {"fasttext": 11, "bert": 21, "held": 12}
"""Of what is derived for each."""

WRITTEN_TIMES = {"pages": 10, "short": 6}
"""How often a written text is repeated for fastText, which knows no weights: they are few, but the nearest to the real
web, whole pages above all. For BERT `WEIGHTS` says so."""

PIECES, LAYERS, POOLING = 16_000, (3, 6, 9, 12), "mean"
"""Of the encoder that BERT's head stands on: pieces of its vocabulary, and layers whose states the head sees, and how.

Chosen on texts that were not trained on (docs/classifier.md has the figures), within 20 MB for the whole starter: the
upper layers make no difference on written texts and some on real news.
"""

BITS: Bits = 4
"""Of BERT's matrices: the encoder was published in 4 bits, so that nothing is lost."""

HEAD = probe.Settings()

WEIGHTS = {"written": 3.0, "modelled": 6.0, "news": 3.0, "made": 0.2}
"""How much a document counts in the head's training, by what stands before the colon of its source; 1 where nothing is
said. Derived documents are many and show what is plain; with their full weight what is learned of the web is lost.
Pages written after real ones and the news, real and labelled by reading, are nearest to it."""

LABEL_WEIGHTS = {"ad": 1.5, "low": 1.5}
"""And by its label: advertisements taken for good text are the dearest mistake of a filter, and with equal weights the
commonest. Measured on pages left out by file and on news left out (764 and 285 texts), precision of `high` rises from
0.87 to 0.89 and from 0.89 to 0.91, macro F1 stays (0.93 and 0.70)."""

FIRST_WEIGHT = 1.0
"""How much fastText's word counts where BERT is asked; what that is worth stands in docs/classifier.md."""

STORED = (
    "matrices are in 4 bits, in blocks with a float16 scale (key + '.scale'); mdfs.classify.weights.read_weights "
    "widens them, and then the keys are those of Hugging Face's BertModel; classifier.hidden, gelu and classifier "
    "stand over the means of the tokens' states behind the layers that preprocessing names"
)

LICENCE = (
    "weights: the project's licence (Apache-2.0); Wikipedia passages (CMRC 2018, DRCD) are CC BY-SA, by the authors of "
    "Wikipedia; the encoder that BERT starts from is MIT"
)

LIMITS = (
    "A starter: advertising and low-quality texts are mostly derived by recipes and few are real, so expect less on "
    "pages unlike them. On the test set of real web documents it is far weaker than on its own held-out texts: measure "
    "it on your corpus before you drop anything by it. Good texts of one or two sentences are often called low. Texts "
    "in other languages than Chinese were hardly seen; dialogue, song texts and code are not covered. 8-bit scores "
    "differ a little between kinds of CPU and between onnxruntime and torch."
)

REAL_FOR_BERT = 2400
"""How many real documents are drawn for BERT, evenly over the sets."""


def written_split() -> tuple[list[Doc], list[Doc]]:
    """The written texts as (for training, held out)."""
    docs = [d for path in WRITTEN for d in read_labelled(path, "modelled" if "modelled" in path.stem else "written")]
    return split(join_near_duplicates(docs), SHARE, SALT)


def is_page(doc: Doc) -> bool:
    """Whether a written text is a whole page as an extractor leaves it, and not a short one."""
    return doc.id.startswith("page-")


def assemble(shared: Path) -> tuple[list[Doc], list[Doc]]:
    """All real documents that may be trained on, less those found in the test set, as (for training, held out)."""
    data = shared / "data"
    docs = join_near_duplicates([d for source in SOURCES for d in read_source(source, data)])
    tested = [row["text"] for row in read_rows(data / "labels" / "quality_gold.jsonl")]
    return split(decontaminate(docs, tested), SHARE, SALT)


def evenly(docs: Sequence[Doc], count: int, seed: int) -> list[Doc]:
    """About `count` documents, the same number of each source and label as far as it has them."""
    rng = random.Random(seed)  # noqa: S311 (no secret)
    by_source: dict[tuple[str, str], list[Doc]] = {}
    for doc in docs:
        by_source.setdefault((doc.source, doc.label), []).append(doc)
    each = count // max(1, len(by_source))
    return [d for _, members in sorted(by_source.items()) for d in rng.sample(members, min(each, len(members)))]


def write_docs(docs: Sequence[Doc], path: Path) -> None:
    """Write documents as JSON lines."""
    path.write_text("".join(json.dumps(asdict(d), ensure_ascii=False) + "\n" for d in docs), encoding="utf-8")


def read_docs(path: Path) -> list[Doc]:
    """Read what `write_docs` wrote."""
    return [Doc(**row) for row in read_rows(path)]


def step_data(shared: Path, work: Path) -> None:
    """Write train-fasttext, train-bert, held and floors (.jsonl) to the work folder."""
    train, held = assemble(shared)
    written, floors = written_split()
    rng = random.Random(7)  # noqa: S311 (no secret)
    some = evenly(train, REAL_FOR_BERT, 3)
    repeated = [d for d in written for _ in range(WRITTEN_TIMES["pages" if is_page(d) else "short"])]
    for name, real, own in (("fasttext", train, repeated), ("bert", some, written)):
        docs = [*real, *derive([*train, *written], "train", DERIVED[name], SEEDS[name]), *own]
        rng.shuffle(docs)
        write_docs(docs, work / f"train-{name}.jsonl")
    made = derive([*held, *floors], "held out", DERIVED["held"], SEEDS["held"])
    write_docs([*evenly(held, 150, 5), *made, *floors * 2], work / "held.jsonl")
    write_docs(floors, work / "floors.jsonl")


def step_bert(shared: Path, work: Path) -> None:
    """Prune the encoder, store it in 4 bits and train a head on its states; weights and tokenizer lie in work/bert."""
    docs, small, out = read_docs(work / "train-bert.jsonl"), work / "small", work / "bert"
    texts = [d.text for d in read_docs(work / "train-fasttext.jsonl")]
    longest = WINDOWS["bert"].longest_row
    prune(shared / "models" / "e5-small-zh", small, texts, pieces=PIECES, layers=LAYERS[-1], positions=longest)
    probe.cut(small, work / "cut", LAYERS[-1])
    quantise(work / "cut", out, BITS)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(work / "cut" / name, out / name)
    x = probe.vectors(out, WINDOWS["bert"], LAYERS, POOLING, [d.text for d in docs])
    weights = np.array([weight(d) for d in docs], np.float32)
    probe.write_head(out, probe.fit(x, one_hot(docs), weights, HEAD), LABELS)


def weight(doc: Doc) -> float:
    """How much a document counts in the head's training."""
    return WEIGHTS.get(doc.source.partition(":")[0], 1.0) * LABEL_WEIGHTS.get(doc.label, 1.0)


def step_fasttext(work: Path) -> None:
    """Train and calibrate fastText; the artifact lies in work/fasttext.

    Where work/leave-one-out.json is (`leave_one_out.py --out` writes it), its figures go into the card.
    """
    train, held = read_docs(work / "train-fasttext.jsonl"), read_docs(work / "held.jsonl")
    fields = about("starter-fasttext", train)
    measured = work / "leave-one-out.json"
    if measured.exists():
        fields["leave_one_source_out"] = json.loads(measured.read_text(encoding="utf-8"))
    train_artifact(train, held, work / "fasttext", WINDOWS["fasttext"], FastTextSettings(), fields)


def about(name: str, train: Sequence[Doc]) -> dict[str, Any]:
    """The fields of a card that say what it is, what it was trained on and what it is not good for."""
    sets = []
    for source in SOURCES:
        docs = [d for d in train if d.source == source.name]
        sets.append({"name": source.name, "origin": source.origin, "licence": source.licence, **describe(docs)})
    for source, origin in OWN.items():
        own = list({d.id: d for d in train if d.source == source}.values())
        told = {"name": source, "origin": f"{origin}, classifiers/data", "licence": "the project's"}
        sets.append(told | describe(own))
    made = [d for d in train if d.source.startswith("made:")]
    recipes = dict(sorted(Counter(d.kind for d in made).items()))
    sets.append(
        {
            "name": "derived",
            "origin": "recipes of classifiers/synthesize.py over the sets above",
            "licence": "as those",
            "recipes": recipes,
            **describe(made),
        }
    )
    return {
        "name": name,
        "task": "quality of a document as pretraining text",
        "created_by": "classifiers/make_starter.py",
        "licence": LICENCE,
        "training": sets,
        "limits": LIMITS,
    }


def thresholds(first: Classifier, held: Sequence[Doc], precision: float = 0.99, least: int = 20) -> dict[str, float]:
    """For each label, the lowest score from which `first` is right in at least `precision` of the held-out documents.

    2.0, which no score reaches, where fewer than `least` documents stand above every such score.
    """
    scores = first.predict(pa.array([d.text for d in held], pa.string()))
    best, guess = scores.max(axis=1), scores.argmax(axis=1)
    out = {}
    for i, label in enumerate(first.labels):
        mine = sorted(
            ((float(best[n]), held[n].label == label) for n in np.flatnonzero(guess == i).tolist()), reverse=True
        )
        limit, right = 2.0, 0
        for count, (score, hit) in enumerate(mine, 1):
            right += hit
            if count >= least and right >= precision * count:
                limit = score
        out[label] = round(limit, 4)
    return out


def pack_bert(work: Path, out: Path, e5: Path) -> None:
    """Write the BERT artifact: weights, ONNX graph, temperature fitted through onnxruntime on the held-out
    part."""
    if out.exists():
        shutil.rmtree(out)
    shutil.copytree(work / "bert", out)
    export(out, POOLING, LAYERS)
    for path in out.iterdir():
        path.chmod(0o644)
    train, held = read_docs(work / "train-bert.jsonl"), read_docs(work / "held.jsonl")
    how = {"windows": WINDOWS["bert"].as_dict(), "pooling": POOLING, "layers": LAYERS, "unit": "tokens"}
    fields = about("starter-bert", train) | {
        "preprocessing": how,
        "settings": asdict(HEAD) | {"weights": WEIGHTS, "label_weights": LABEL_WEIGHTS},
        "weights": STORED,
    }
    fields["initialised_from"] = {
        "name": f"e5-small-zh (multilingual-e5-small, MIT), its {LAYERS[-1]} lowest layers, {PIECES:,} of its pieces, "
        f"in {BITS} bits and not tuned; the head alone was trained",
        "sha256": sha256_of(e5),
    }
    seal(out, kind="bert", labels=LABELS, fields=fields)
    texts = [d.text for d in held]
    logits, wanted = (
        Bert(read_card(out), backend="onnxruntime", threads=2).logits(texts),
        [LABELS.index(d.label) for d in held],
    )
    fields["calibration"] = {"temperature": (temperature := fit_temperature(logits, wanted))}
    fields["metrics"] = {"held_out": report(wanted, softmax(logits / temperature), LABELS)}
    seal(out, kind="bert", labels=LABELS, fields=fields)
    if "torch" in installed_backends():
        found = agreement(out, texts)
        fields["agreement"] = {
            "backends": ["torch", "onnxruntime"],
            "docs": len(texts),
            "max_difference_of_a_score": round(found, 4),
            "tolerance": round(max(0.05, 1.5 * found), 2),
        }
        seal(out, kind="bert", labels=LABELS, fields=fields)


def step_pack(work: Path, out: Path, e5: Path) -> None:
    """Write the cascade and its members to `out`, with figures on the held-out written texts in every card."""
    shutil.copytree(work / "fasttext", out / "fasttext", dirs_exist_ok=True)
    pack_bert(work, out / "bert", e5)
    floors, held = read_docs(work / "floors.jsonl"), read_docs(work / "held.jsonl")
    table = {"first": "fasttext", "second": "bert", "first_weight": FIRST_WEIGHT}
    fields = {k: v for k, v in about("starter", []).items() if k not in ("training", "limits")}
    fields["cascade"] = table | {"threshold": thresholds(load(str(out / "fasttext")), held)}
    for name in ("fasttext", "bert"):
        state_figures(out / name, floors)
    seal(out, kind="cascade", labels=LABELS, fields=fields, files=["fasttext/card.json", "bert/card.json"])
    state_figures(out, floors)


def state_figures(folder: Path, docs: Sequence[Doc]) -> None:
    """Seal an artifact anew with its figures on `docs`, with intervals, in its card (speed is the machine's own)."""
    model = load(str(folder), backend="onnxruntime")
    figures = evaluation(ask(model, docs), docs, seed=1)
    figures.pop("docs_per_second")
    fields = fields_of(model.card)
    reseal(model.card, fields | {"metrics": fields.get("metrics", {}) | {"written_held_out": figures}})


@click.command(epilog="Example: python -m mdfs.classifiers.make_starter --shared ../shared --work work --out starter")
@click.option(
    "--shared", type=click.Path(exists=True, path_type=Path), required=True, help="The folder with data/ and models/."
)
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Where texts and float weights are kept.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The artifact folder to write.")
@click.option("--steps", default="data,fasttext,bert,pack", show_default=True, help="Which steps to run.")
def main(shared: Path, work: Path, out: Path, steps: str) -> None:
    """Make the starter artifacts from the development data, from reading it to the sealed cards."""
    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    todo: dict[str, Callable[[], None]] = {
        "data": lambda: step_data(shared, work),
        "fasttext": lambda: step_fasttext(work),
        "bert": lambda: step_bert(shared, work),
        "pack": lambda: step_pack(work, out, shared / "models" / "e5-small-zh" / "model.safetensors"),
    }
    for name in steps.split(","):
        if name not in todo:
            raise click.UsageError(f"no step {name!r}; the steps are {', '.join(todo)}")
        todo[name]()


if __name__ == "__main__":
    main()
