"""How fast the BERT classifier is, and how much of the device it uses, beside transformers' own pipeline.

    python tests/bench/gpu_classify.py [--model FOLDER] [--texts FILE.jsonl] [--docs N] [--seconds S] [--json]

Needs torch, transformers and this package, no Spark. Without --model an encoder of BERT-base's shape with random
weights is made (on a CPU a small one): speed does not depend on what weights say. Without --texts lengths are drawn as
web pages have them (log-normal, median 900 characters). What is reported:

- documents and tokens a second, from Arrow strings to scores, tokenising included; tokens without padding;
- padding: the share of computed tokens that are padding;
- model FLOPs used: 2 FLOPs a weight and token and 4 x length x hidden a layer and token for attention, of real tokens,
  against the peak of a matrix product measured here in the same precision (its best size of several);
- waited: the share of the time in which the device had no work (on a GPU by events around each batch);
- the same for `transformers.pipeline("text-classification")` with the same weights, windows cut to the same length
  (its head), the best of several values of batch_size, sorted by length beforehand in its favour.

On a CPU it runs small and says so: the figures then say that the bench works, not how fast a GPU is.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mdfs import classify
from mdfs.classify.bert import Bert
from mdfs.classify.tokens import Windows
from mdfs.classify.torch_scorer import Stats, TorchScorer

BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
SMALL = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 512}
COMMON = "".join(chr(0x4E00 + i * 7) for i in range(2900))
WINDOWS = Windows(112, 56, 84)
BATCH_SIZES = (8, 32, 64, 128, 256, 512)


def make_artifact(folder: Path, shape: dict[str, int]) -> None:
    """A BERT artifact of this shape with random weights, whose tokenizer has a piece for each common character."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification

    pieces = {piece: i for i, piece in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *COMMON])}
    tokenizer = Tokenizer(models.WordLevel(pieces, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    labels = dict(enumerate(("ad", "high", "low")))
    config = BertConfig(vocab_size=len(pieces), pad_token_id=0, id2label=labels, **shape)
    model = BertForSequenceClassification(config)
    config.save_pretrained(folder)
    save_file(dict(model.state_dict()), folder / "model.safetensors", metadata={"format": "pt"})
    how = {"windows": WINDOWS.as_dict(), "pooling": "pooler"}
    classify.seal(folder, kind="bert", labels=list(labels.values()), fields={"preprocessing": how})


def made_texts(count: int) -> list[str]:
    """Texts of made-up Chinese, as long as web pages are."""
    rng = random.Random(1)
    lengths = [min(50_000, int(rng.lognormvariate(math.log(900), 1.0))) + 1 for _ in range(count)]
    page = "".join(rng.choice(COMMON) for _ in range(100_000))
    return [page[at : at + n] for n, at in ((n, rng.randrange(50_000)) for n in lengths)]


def synchronised(device: Any) -> float:
    """The time once the device has nothing left to do."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def peak(device: Any, dtype: Any, seconds: float) -> float:
    """FLOP/s of the best matrix product of several sizes in this precision."""
    import torch

    best = 0.0
    for size in (2048, 4096, 8192) if device.type == "cuda" else (512, 1024):
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        a @ b
        start, done = synchronised(device), 0
        while time.perf_counter() - start < seconds:
            for _ in range(10 if device.type == "cuda" else 1):
                a @ b
            done += 10 if device.type == "cuda" else 1
            synchronised(device)
        best = max(best, 2 * size**3 * done / (synchronised(device) - start))
    return best


def flops(lengths: list[int], config: dict[str, int]) -> float:
    """FLOPs of one pass over rows of these lengths, without padding: matrix products alone."""
    hidden, layers, wide = (config[k] for k in ("hidden_size", "num_hidden_layers", "intermediate_size"))
    weights = layers * (4 * hidden * hidden + 2 * hidden * wide)
    return float(sum(n * (2 * weights + layers * 4 * n * hidden) for n in lengths))


def timed(work: Callable[[], Any], device: Any, seconds: float) -> tuple[float, int]:
    """Seconds, and how often the work was done in them: at least once, until so many seconds are over."""
    work()
    start, rounds = synchronised(device), 0
    while rounds == 0 or time.perf_counter() - start < seconds:
        work()
        rounds += 1
    return synchronised(device) - start, rounds


def ours(folder: Path, texts: list[str], seconds: float) -> dict[str, Any]:
    """This package's figures."""
    model = classify.load(str(folder), backend="torch")
    assert isinstance(model, Bert)
    scorer = model.scorer
    assert isinstance(scorer, TorchScorer)
    scorer.timed = True
    array = pa.array(texts, pa.string())
    model.predict(array.slice(0, 2048))
    scorer.stats = Stats()
    # As the stage asks: a row group at a time, as many under way as the model wants.
    from mdfs.classify.ahead import ahead

    pieces = [array.slice(at, 2048) for at in range(0, len(array), 2048)]
    first = Stats()

    def work() -> None:
        nonlocal first
        scorer.stats = Stats()
        for _ in ahead(model.predict, pieces, model.ahead):
            pass
        first = scorer.stats

    took, rounds = timed(work, scorer._device, seconds)
    stats, each = first, took / rounds
    busy = stats.device_seconds if scorer.on_gpu else float("nan")
    return {
        "docs_per_second": len(texts) / each,
        "tokens_per_second": stats.tokens / each,
        "padding_share": 1 - stats.tokens / stats.padded_tokens,
        "batches": stats.batches,
        "halved": stats.halved,
        "waited_share": None if math.isnan(busy) else max(0.0, 1 - busy / each),
        "seconds": each,
        "tokens": stats.tokens,
        "dtype": scorer.dtype,
        "device": str(scorer._device),
    }


def pipelines(folder: Path, texts: list[str], seconds: float, device: Any, dtype: Any) -> list[dict[str, Any]]:
    """transformers' pipeline with each batch size; texts by length, cut to as many tokens as our windows hold."""
    from transformers import BertForSequenceClassification, PreTrainedTokenizerFast, pipeline

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    model = BertForSequenceClassification.from_pretrained(folder, dtype=dtype).to(device).eval()
    ordered = sorted((text[: WINDOWS.total * 4] for text in texts), key=len)
    out = []
    for size in BATCH_SIZES if device.type == "cuda" else BATCH_SIZES[:3]:
        pipe = pipeline(
            "text-classification", model=model, tokenizer=tokenizer, device=device, batch_size=size, top_k=None
        )

        def work(pipe: Any = pipe) -> None:
            pipe(ordered, truncation=True, max_length=WINDOWS.longest_row)

        took, rounds = timed(work, device, seconds)
        out.append({"batch_size": size, "docs_per_second": len(texts) * rounds / took})
    return out


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--model", type=Path, help="a BERT artifact; a random one of BERT-base's shape without it")
    asked.add_argument("--texts", type=Path, help="JSON lines with text")
    asked.add_argument("--docs", type=int, default=0, help="documents; 50,000 on a GPU, 200 on a CPU")
    asked.add_argument("--seconds", type=float, default=0, help="for each measurement; 10 on a GPU, 1 on a CPU")
    asked.add_argument("--json", action="store_true")
    said = asked.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("needs torch and transformers: pip install 'mdfs[torch]'")
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    seconds, docs = said.seconds or (10 if gpu else 1), said.docs or (50_000 if gpu else 200)
    if said.texts:
        texts = [json.loads(line)["text"] for line in said.texts.read_text("utf-8").splitlines()][:docs]
    else:
        texts = made_texts(docs)
    with tempfile.TemporaryDirectory() as made:
        folder = said.model or Path(made) / "bert"
        if not said.model:
            make_artifact(folder, BASE if gpu else SMALL)
        found = measure(folder, texts, seconds, device)
    found["note"] = "" if gpu else "on a CPU, small: says that the bench works, nothing about a GPU"
    if said.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<18} {json.dumps(value)}")


def measure(folder: Path, texts: list[str], seconds: float, device: Any) -> dict[str, Any]:
    """All figures of one artifact on these texts."""
    import torch

    config = json.loads((folder / "config.json").read_text("utf-8"))
    mine = ours(folder, texts, seconds)
    dtype = getattr(torch, mine["dtype"])
    model = classify.load(str(folder), backend="torch")
    assert isinstance(model, Bert)
    lengths = [len(row) for row in model.tokenizer.rows(texts)]
    top = peak(device, dtype, min(2.0, seconds))
    used = flops(lengths, config) / mine["seconds"]
    theirs = pipelines(folder, texts, seconds, device, dtype)
    best = max(theirs, key=lambda row: row["docs_per_second"])
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "docs": len(texts),
        "median_tokens": int(np.median(lengths)),
        "mdfs": {key: round(value, 4) if isinstance(value, float) else value for key, value in mine.items()},
        "peak_tflops": round(top / 1e12, 3),
        "flop_utilisation": round(used / top, 4),
        "pipeline": [{k: round(v, 1) for k, v in row.items()} for row in theirs],
        "times_the_pipeline": round(mine["docs_per_second"] / best["docs_per_second"], 2),
    }


if __name__ == "__main__":
    main()
