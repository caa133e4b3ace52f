"""Any Hugging Face `tokenizer.json`, used so that a document's text can never spell a control token.

`tokenizers` looks for added tokens in raw text first, so a page that quotes "<|endoftext|>" would end its document in
the middle. Here special tokens are text like any other; only `encode` itself puts one in, the end-of-document token.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from mdfs.errors import UsageError
from mdfs.storage import locate
from mdfs.tokenize import fast
from mdfs.tokenize.fast import FastBPE

#: UTF-8 bytes handed to `tokenizers` at once. Its result takes about 100 bytes a token until the ids are copied out,
#: so this bounds a worker to some 50 MB; larger pieces were not faster (measured from 64 kB to 8 MB).
BATCH_BYTES = 1 << 20
#: A longer text is encoded in pieces, for the same bound; they are cut behind a line end where there is one.
PIECE_CHARS = 1 << 19

_FILE = "tokenizer.json"


@dataclass(frozen=True)
class Tokenizer:
    """A loaded tokenizer.

    Attributes:
        name: the shipped name, or what its file or folder is called.
        digest: SHA-256 of its tokenizer.json, 64 hex digits.
        vocab_size: greatest id + 1, added tokens included; every id that `encode` gives is smaller.
        eod_id: id of the token that ends a document.
    """

    name: str
    digest: str
    vocab_size: int
    eod_id: int
    _engine: Any = field(repr=False)
    _guarded: np.ndarray = field(repr=False)
    _split: re.Pattern[str] = field(repr=False)
    _spec: dict[str, Any] = field(repr=False)

    def encode(self, texts: pa.Array) -> pa.ListArray:
        """Token ids (list<uint32>) of a string array, one list a text, each with the end-of-document id at its end.

        The end-of-document id and every other control token stand nowhere else, whatever the text spells.
        """
        if self._fast is None:
            pieces = list(self._slowly(texts))
            return _lists([np.concatenate([np.empty(0, np.uint32), *pieces])], np.array([len(ids) for ids in pieces]))
        values, lengths = self._fast.encode(texts, self.eod_id)
        left = np.flatnonzero(lengths < 0)
        if not len(left):
            return _lists([values], lengths)
        lengths[left] = 0
        starts = np.cumsum(lengths)[left]
        slow = list(self._slowly(texts.take(pa.array(left))))
        lengths[left] = [len(ids) for ids in slow]
        between = np.split(values, starts)
        return _lists([*itertools.chain.from_iterable(zip(between, slow, strict=False)), between[-1]], lengths)

    @functools.cached_property
    def _fast(self) -> FastBPE | None:
        return fast.build(self._spec, self._guarded)

    def _slowly(self, texts: pa.Array) -> Iterator[np.ndarray]:
        """Each text's ids with the end of the document, by `tokenizers`."""
        for batch in _batches(texts):
            for ids in self._encode(batch):
                yield np.append(ids, np.uint32(self.eod_id))

    def decode(self, ids: list[int]) -> str:
        """The text that ids stand for, control tokens left out."""
        return str(self._engine.decode(ids, skip_special_tokens=True))

    def _encode(self, texts: list[str]) -> Iterator[np.ndarray]:
        """Ids of each text; a text longer than `PIECE_CHARS` stands alone in `texts`."""
        if len(texts) == 1 and len(texts[0]) > PIECE_CHARS:
            yield np.concatenate([ids for piece in _pieces(texts[0]) for ids in self._encode([piece])])
            return
        for text, encoding in zip(texts, self._engine.encode_batch_fast(texts, add_special_tokens=False), strict=True):
            ids = np.array(encoding.ids, dtype=np.uint32)
            yield ids if not np.isin(ids, self._guarded).any() else self._spelt_out(text)

    def _spelt_out(self, text: str) -> np.ndarray:
        """Ids of a text in which the model itself (not the added tokens) found a control token, as SentencePiece
        vocabularies that list `</s>` do: cut inside each such name, so that no piece holds a whole one."""
        cuts = [0, *(found.start() + 1 for found in self._split.finditer(text)), len(text)]
        pieces = [text[start:stop] for start, stop in itertools.pairwise(cuts)]
        encodings = self._engine.encode_batch_fast(pieces, add_special_tokens=False)
        ids = [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]
        joined = np.concatenate(ids)
        return joined[~np.isin(joined, self._guarded)]


def digest(name_or_path: str) -> str:
    """SHA-256 (64 hex digits) of the tokenizer.json that a shipped name, a path or a folder means.

    Raises:
        UsageError: there is no such file.
    """
    return hashlib.sha256(_read(name_or_path)).hexdigest()


def load(name_or_path: str, eod: str) -> Tokenizer:
    """Load a tokenizer by shipped name, by the path or URI of a tokenizer.json, or by the folder that holds one.

    Its truncation and padding are turned off. `eod` is the end-of-document token as its vocabulary spells it.

    Raises:
        UsageError: no such file, not a tokenizer, or `eod` is not in its vocabulary.
    """
    content = _read(name_or_path)
    # One thread a worker: the engine already runs one worker a core. Read by `tokenizers` at every call.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    engine, spec = _parse(content, name_or_path)
    eod_id = engine.token_to_id(eod)
    if eod_id is None:
        specials = [t["content"] for t in spec.get("added_tokens") or [] if t.get("special")]
        known = ", ".join(specials[:8]) or "none"
        raise UsageError(
            f"tokenizer {name_or_path}: no token {eod!r} to end documents with; its control tokens: {known}"
        )
    guarded = _guard(engine, spec, eod)
    forbidden = np.array(sorted(guarded.values()), dtype=np.uint32)
    return Tokenizer(
        name=_label(name_or_path),
        digest=hashlib.sha256(content).hexdigest(),
        vocab_size=max(engine.get_vocab(with_added_tokens=True).values()) + 1,
        eod_id=int(eod_id),
        _engine=engine,
        _guarded=forbidden,
        _split=re.compile("|".join(re.escape(name) for name in sorted(guarded, key=len, reverse=True))),
        _spec=spec,
    )


def _parse(content: bytes, name: str) -> tuple[Any, dict[str, Any]]:
    import tokenizers

    try:
        spec = json.loads(content)
        engine = tokenizers.Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception for a file that it cannot use
        raise UsageError(f"tokenizer {name}: not a Hugging Face tokenizer.json ({error})") from None
    engine.no_truncation()
    engine.no_padding()
    return engine, spec


def _guard(engine: Any, spec: dict[str, Any], eod: str) -> dict[str, int]:
    """Make control tokens plain text for `engine`; return those (name → id) that no text may give.

    The unknown token is left out: the model itself gives it for what it cannot spell.
    """
    import tokenizers

    engine.add_special_tokens([tokenizers.AddedToken(eod, special=True, normalized=False)])
    engine.encode_special_tokens = True
    unknown = spec["model"].get("unk_token")
    names = {t["content"] for t in spec.get("added_tokens") or [] if t.get("special")} | {eod}
    numbers = {name: engine.token_to_id(name) for name in names if name != unknown}
    unknown_id = spec["model"].get("unk_id")
    return {name: number for name, number in numbers.items() if number is not None and number != unknown_id}


def _read(name_or_path: str) -> bytes:
    """The content of a tokenizer.json."""
    if not re.search(r"[/\\.]", name_or_path):
        shipped = resources.files("mdfs.tokenize") / name_or_path / _FILE
        if shipped.is_file():
            return shipped.read_bytes()
    filesystem, path = locate(name_or_path)
    if filesystem.get_file_info(path).type == fs.FileType.Directory:
        path = posixpath.join(path, _FILE)
    try:
        with filesystem.open_input_stream(path, compression=None) as stream:
            return bytes(stream.read())
    except OSError:
        raise UsageError(
            f"tokenizer {name_or_path}: neither a shipped tokenizer ('starter') nor a tokenizer.json; check the path"
        ) from None


def _label(name_or_path: str) -> str:
    folder, name = posixpath.split(name_or_path.rstrip("/"))
    return posixpath.basename(folder) or "tokenizer" if name == _FILE else name.removesuffix(".json")


def _lists(pieces: list[np.ndarray], lengths: np.ndarray) -> pa.ListArray:
    """list<uint32> of `lengths` ids each from the pieces of their values."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    values = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, type=pa.uint32()))


def _batches(texts: pa.Array) -> Iterator[list[str]]:
    """Consecutive texts of at most `BATCH_BYTES` together; a longer one stands alone."""
    ends = np.cumsum(pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64))
    start = 0
    while start < len(texts):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, side="right")))
        yield texts.slice(start, stop - start).to_pylist()
        start = stop


def _pieces(text: str) -> Iterator[str]:
    """Cut a long text behind line ends into pieces of at most `PIECE_CHARS` characters, by its content alone."""
    start = 0
    while start < len(text):
        stop = start + PIECE_CHARS
        if stop < len(text):
            stop = text.rfind("\n", start + PIECE_CHARS // 2, stop) + 1 or stop
        yield text[start:stop]
        start = stop
