"""Train the starter tokenizer: byte-level BPE, Chinese first, small, and lossless on any text.

    python -m mdfs.classifiers.train_tokenizer --data FOLDER --out mdfs/tokenize/starter

FOLDER holds the sets of `SOURCES` under `text/`. The result is a `tokenizer.json` and its `card.json`. The same sets
give the same bytes.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mdfs.classifiers.datasets import SOURCES, Source, read_rows

from mdfs.tokenize.fast import SPLIT

#: With the control tokens and the 256 bytes. 24,000 entries are 0.9 MB of JSON.
VOCABULARY = 24_000
CONTROL_TOKENS = (
    "<|endoftext|>",
    "<|pad|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
)
#: Bytes in a token: eight Chinese characters. Longer ones were formulas of single sets (names of laws, of newspapers).
LONGEST = 24
#: How often a set is read. Modern prose counts more than the novels, which hold a third of the characters.
TIMES = {"peoples_daily": 2, "literature": 2, "wiki_simplified": 4, "wiki_traditional": 4}
#: Every character of the everyday planes of GB 2312 (3,755) and Big5 (5,401) is shown this often, alone, so that it
#: gets a token of its own where the sets are too small to show it.
CHARACTER_COUNT = 60


def texts_of(folder: Path, source: Source) -> list[str]:
    """The texts of a set, without the HTML that two of them left in (`&nbsp;` in novels, comments in laws)."""
    return [html.unescape(re.sub(r"<!--.*?-->", "", row["text"])) for row in read_rows(folder / source.path)]


def held_out(text: str) -> bool:
    """Whether a text is in the tenth that is not trained on, by its content."""
    return hashlib.blake2b(text.encode(), digest_size=1).digest()[0] % 10 == 0


def everyday_characters() -> list[str]:
    """The everyday planes of GB 2312 and Big5, in code order, each character once."""
    gb = (bytes([row, cell]).decode("gb2312", "ignore") for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF))
    cells = [*range(0x40, 0x7F), *range(0xA1, 0xFF)]
    big5 = (bytes([row, cell]).decode("big5", "ignore") for row in range(0xA4, 0xC7) for cell in cells)
    return sorted({character for character in (*gb, *big5) if len(character) == 1 and "一" <= character <= "鿿"})


def build(texts: Iterator[str], vocabulary: int = VOCABULARY) -> Any:
    """Train on `texts`; returns a `tokenizers.Tokenizer`. Single-threaded counts, so equal texts give equal bytes."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=LONGEST,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def training_texts(sets: dict[str, list[str]]) -> Iterator[str]:
    """Everything that the tokenizer is trained on, in a fixed order."""
    for name, texts in sets.items():
        for _ in range(TIMES.get(name, 1)):
            yield from (text for text in texts if not held_out(text))
    # A blank between two: the pre-tokenizer would take neighbours for a word.
    yield from (" ".join([character] * CHARACTER_COUNT) for character in everyday_characters())


def card(out: Path, sets: dict[str, list[str]], sources: list[Source]) -> dict[str, Any]:
    """What the starter in `out` is, from what it was made, and how it does on the tenth of each set it did not see."""
    from tokenizers import Tokenizer

    content = (out / "tokenizer.json").read_bytes()
    tokenizer = Tokenizer.from_str(content.decode())
    rows = []
    for source in sources:
        texts = [text for text in sets[source.name] if held_out(text)]
        tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False))
        characters = sum(map(len, texts))
        rows.append(
            {
                "name": source.name,
                "origin": source.origin,
                "licence": source.licence,
                "documents": len(sets[source.name]),
                "times": TIMES.get(source.name, 1),
                "characters_per_token_held_out": round(characters / tokens, 3),
            }
        )
    return {
        "name": "starter",
        "what": "byte-level BPE for Chinese web text; a starting point: train your own on your own corpus",
        "sha256": hashlib.sha256(content).hexdigest(),
        "script": "classifiers/train_tokenizer.py",
        "vocabulary": tokenizer.get_vocab_size(),
        "end_of_document": CONTROL_TOKENS[0],
        "control_tokens": list(CONTROL_TOKENS),
        "lossless": "decode(encode(text)) == text for any Unicode text",
        "sets": rows,
        "attribution": "wiki_simplified and wiki_traditional are texts of Chinese Wikipedia by its contributors, "
        "CC BY-SA, as collected in CMRC 2018 (ymcui/cmrc2018) and DRCD (DRCKnowledgeTeam/DRCD). No text is "
        "contained here, only counts of byte pairs turned into a vocabulary.",
    }


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with text/*.jsonl.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the result.")
def main(data: Path, out: Path) -> None:
    """Train the starter tokenizer.

    Example: python -m mdfs.classifiers.train_tokenizer --data ../data --out mdfs/tokenize/starter
    """
    sources = [source for source in SOURCES if source.path.startswith("text/")]
    sets = {source.name: texts_of(data, source) for source in sources}
    tokenizer = build(training_texts(sets))
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.json").write_text(tokenizer.to_str(pretty=False) + "\n", encoding="utf-8")
    text = json.dumps(card(out, sets, sources), ensure_ascii=False, indent=1)
    (out / "card.json").write_text(text + "\n", encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
