"""Recipes: everything that decides what a corpus contains, in one TOML file.

A recipe has a table for each stage. `base = "name"` takes over another recipe and changes what is said; unknown keys
are errors that name the nearest known one. A rule's limits stand under `[rules]` by the rule's own name:

    [rules]
    han_ratio = { min = 0.6 }
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import re
import tomllib
import types
import typing
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from mdfs.errors import UsageError
from mdfs.options import (
    Benchmark,
    Classify,
    Collect,
    CommonCrawl,
    Containment,
    Decontaminate,
    Dedup,
    Edits,
    Language,
    Limit,
    Lines,
    MinHash,
    Source,
    Substring,
    Tokenize,
    Urls,
    WordList,
    plain,
)

__all__ = [
    "Benchmark",
    "Classify",
    "Collect",
    "CommonCrawl",
    "Containment",
    "Decontaminate",
    "Dedup",
    "Edits",
    "Language",
    "Limit",
    "Lines",
    "MinHash",
    "Recipe",
    "Source",
    "Substring",
    "Tokenize",
    "Urls",
    "WordList",
    "from_dict",
    "load",
    "shipped",
]


@dataclass(frozen=True)
class Recipe:
    """A resolved recipe. `folder` is where relative paths in it start; it decides nothing itself."""

    name: str
    title: str = ""
    source: tuple[Source, ...] = ()
    collect: Collect = field(default_factory=Collect)
    commoncrawl: CommonCrawl = field(default_factory=CommonCrawl)
    edits: Edits = field(default_factory=Edits)
    lists: dict[str, WordList] = field(default_factory=dict)
    urls: Urls = field(default_factory=Urls)
    language: Language = field(default_factory=Language)
    rules: dict[str, Limit] = field(default_factory=dict)
    dedup: Dedup = field(default_factory=Dedup)
    decontaminate: Decontaminate = field(default_factory=Decontaminate)
    classify: Classify = field(default_factory=Classify)
    tokenize: Tokenize = field(default_factory=Tokenize)
    folder: str = ""

    def digest(self) -> str:
        """64 hex digits that change with anything that changes the output, models and tokenizer files included."""
        stages = ("collect", "rules", "dedup", "classify", "tokenize")
        return _sha256({stage: self.stage_digest(stage) for stage in stages})

    def stage_digest(self, stage: str) -> str:
        """64 hex digits over what this recipe says to one stage; what is said to others does not change them."""
        said: dict[str, Any] = {stage: plain(getattr(self, stage))}
        if stage == "collect":
            said["source"] = plain(self.source)
            if self.commoncrawl.crawl:
                said["commoncrawl"] = self.commoncrawl.selection()
        elif stage == "rules":
            from mdfs.rules import inputs

            said |= {"edits": plain(self.edits), "inputs": inputs.digests(self), "patterns": self.urls.patterns}
            lists = (dataclasses.replace(entry, words=()) for entry in self.lists.values())
            said["lists"] = dict(zip(self.lists, map(plain, lists), strict=True))
        elif stage == "dedup":
            said["priority"] = [[s.match, s.priority] for s in self.source]
            if self.decontaminate.benchmarks:
                from mdfs.dedup import benchmarks

                said["decontaminate"] = plain(self.decontaminate) | {"benchmarks": benchmarks.digests(self)}
        elif stage == "classify" and self.classify.model:
            from mdfs import classify

            said[stage]["model"] = classify.read_card(classify.locate(self.path(self.classify.model))).digest
        elif stage == "tokenize":
            from mdfs.tokenize import tokenizer

            said[stage]["tokenizer"] = tokenizer.digest(self.path(self.tokenize.tokenizer))
        return _sha256(said)

    def path(self, name_or_path: str) -> str:
        """A shipped name as it is; a path relative to the recipe's own folder made absolute."""
        looks_like_path = "/" in name_or_path or name_or_path.startswith(".")
        if not looks_like_path or "://" in name_or_path or not self.folder:
            return name_or_path
        return str(Path(self.folder) / Path(name_or_path).expanduser())

    def benchmark_path(self, benchmark: Benchmark) -> str:
        """Where a test set lies; none is shipped, so a bare file name is a path too."""
        return self.path(benchmark.path if "/" in benchmark.path else f"./{benchmark.path}")

    def source_of(self, place: str) -> Source:
        """The first `[[source]]` that fits `<input's base name>/<path inside it>`, else one that says nothing."""
        from mdfs.storage import glob_match

        return next((s for s in self.source if s.match == "*" or glob_match(place, s.match)), Source())

    def to_dict(self) -> dict[str, Any]:
        """Plain data from which `from_dict` builds this recipe again, with relative paths made absolute."""
        data: dict[str, Any] = plain(self)
        data.pop("folder")
        data["classify"]["model"] = self.path(self.classify.model)
        data["tokenize"]["tokenizer"] = self.path(self.tokenize.tokenizer)
        data["language"]["model"] = self.path(self.language.model)
        data["urls"]["listed"] = [self.path(entry) for entry in self.urls.listed]
        for entry, benchmark in zip(data["decontaminate"]["benchmarks"], self.decontaminate.benchmarks, strict=True):
            entry["path"] = self.benchmark_path(benchmark)
        for name, said in self.lists.items():
            data["lists"][name]["words"] = [self.path(entry) for entry in said.words]
        return data

    def to_toml(self) -> str:
        """The resolved recipe as TOML that loads to an equal recipe."""
        data = self.to_dict()
        scalars = {k: v for k, v in data.items() if not isinstance(v, dict | list)}
        lines = [f"{key} = {_toml(value)}" for key, value in scalars.items()]
        for entry in data["source"]:
            lines += ["", "[[source]]", *(f"{k} = {_toml(v)}" for k, v in entry.items())]
        for table in (
            "collect",
            "commoncrawl",
            "edits",
            "lists",
            "urls",
            "language",
            "rules",
            "dedup",
            "decontaminate",
            "classify",
            "tokenize",
        ):
            lines += ["", f"[{table}]", *(f"{k} = {_toml(v)}" for k, v in data[table].items() if v is not None)]
        return "\n".join(lines) + "\n"


def shipped() -> list[str]:
    """Names of the recipes that come with mdfs."""
    folder = resources.files("mdfs") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load(name_or_path: str | Path) -> Recipe:
    """Read a recipe by the name of a shipped one or by the path of a TOML file, with its bases resolved.

    Raises:
        UsageError: no such recipe, not TOML, an unknown key, a wrong type, or a base that leads back to itself.
    """
    data, folder = _resolve(str(name_or_path), ())
    loaded = from_dict(data, where=f"recipe {name_or_path}")
    return dataclasses.replace(loaded, folder=folder)


def from_dict(data: dict[str, Any], where: str = "recipe") -> Recipe:
    """Check a resolved recipe's plain data and build it; errors name the key after `where`."""
    recipe: Recipe = _build(Recipe, data, where)
    _check_rules(recipe, where)
    _check_values(recipe, where)
    return recipe


def _resolve(name: str, seen: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    text, folder, label = _read(name)
    if label in seen:
        raise UsageError(f"recipe {label}: `base` leads back to itself ({' → '.join([*seen, label])}); remove one")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"recipe {label}: not TOML: {error}") from None
    data.setdefault("name", Path(name).stem)
    base = data.pop("base", None)
    if base is not None:
        if not isinstance(base, str):
            raise UsageError(f"recipe {label}: base must be the name or path of a recipe")
        relative = str(Path(folder) / base) if base.endswith(".toml") and folder else base
        data = _merge(_resolve(relative, (*seen, label))[0], data)
    return data, folder


def _read(name: str) -> tuple[str, str, str]:
    """The text, folder and label of a recipe."""
    if name in shipped():
        return (resources.files("mdfs") / "recipes" / f"{name}.toml").read_text("utf-8"), "", name
    path = Path(name).expanduser()
    if path.is_file():
        try:
            return path.read_text("utf-8"), str(path.resolve().parent), str(path)
        except UnicodeDecodeError:
            raise UsageError(f"recipe {name}: not UTF-8; save it as UTF-8") from None
    near = difflib.get_close_matches(name, shipped(), 1)
    hint = f"did you mean {near[0]!r}?" if near else f"shipped ones are {', '.join(shipped())}"
    raise UsageError(f"recipe {name!r}: neither a shipped recipe nor a file; {hint}")


def _merge(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`change` over `base`, table by table; `false` in place of a table removes it."""
    merged = dict(base)
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        elif value is False and isinstance(merged.get(key), dict):
            del merged[key]
        else:
            merged[key] = value
    return merged


def _build(cls: type, data: Any, where: str) -> Any:
    """An instance of the dataclass `cls` from plain data, every key and type checked."""
    if not isinstance(data, dict):
        raise UsageError(f"{where}: must be a table, not {data!r}")
    hints = typing.get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls) if f.name != "folder"]
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(known)}"
            raise UsageError(f"{where}: unknown key {key!r}; {hint}")
    return cls(**{key: _value(hints[key], value, f"{where}: {key}") for key, value in data.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if typing.get_origin(hint) is types.UnionType:
        hint = next(h for h in typing.get_args(hint) if h is not type(None))
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), value, where)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if not isinstance(value, list):
            raise UsageError(f"{where}: must be a list, not {value!r}")
        return tuple(_value(args[0], item, where) for item in value)
    if origin is dict:
        if not isinstance(value, dict):
            raise UsageError(f"{where}: must be a table, not {value!r}")
        return {key: _value(args[1], item, f"{where}.{key}") for key, item in value.items()}
    wanted = (int, float) if hint is float else hint
    if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
        raise UsageError(f"{where}: must be a {hint.__name__}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{where}: must be a finite number, not {value!r}")
    return float(value) if hint is float else value


def _check_rules(recipe: Recipe, where: str) -> None:
    from mdfs.rules import signals

    names = signals.names()
    for name in (*recipe.rules, *recipe.dedup.prefer):
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]!r}?" if near else "`mdfs rule list` names them all"
            raise UsageError(f"{where}: no measurement is called {name!r}; {hint}")
    for name in recipe.dedup.prefer:
        if str(signals.types()[name]) == "string":
            raise UsageError(f"{where}: dedup.prefer: {name} is a word, and only numbers can be preferred")
    for name, limit in recipe.rules.items():
        _check_limit(name, limit, str(signals.types()[name]) == "string", where)
    _check_words(recipe, where)


def _check_limit(name: str, limit: Limit, is_word: bool, where: str) -> None:
    """A limit says something, and what fits the measurement: numbers have min and max, words any_of and none_of."""
    said = [side for side in ("min", "max", "any_of", "none_of") if getattr(limit, side) is not None]
    fits = ("any_of", "none_of") if is_word else ("min", "max")
    if not said:
        raise UsageError(f"{where}: rules.{name} has neither {fits[0]} nor {fits[1]}; give one or remove the line")
    if not set(said) <= set(fits):
        kind = "a word" if is_word else "a number"
        raise UsageError(f"{where}: rules.{name} is {kind}: use {fits[0]} or {fits[1]}")


def _check_words(recipe: Recipe, where: str) -> None:
    """Names of categories and of personal data that exist."""
    from mdfs.rules import personal, phrases

    for key, given, known in (
        ("lists", recipe.lists, phrases.CATEGORIES),
        ("edits.pii", recipe.edits.pii, personal.TOKENS),
        ("edits.pii_tokens", recipe.edits.pii_tokens, personal.TOKENS),
    ):
        for name in given:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known ones are {', '.join(known)}"
                raise UsageError(f"{where}: {key}: no {name!r}; {hint}")


def _check_values(recipe: Recipe, where: str) -> None:
    """Numbers that would make a stage meaningless or endless."""
    positive = {
        "collect.max_record_bytes": recipe.collect.max_record_bytes,
        "collect.max_text_chars": recipe.collect.max_text_chars,
        "collect.part_documents": recipe.collect.part_documents,
        "collect.part_bytes": recipe.collect.part_bytes,
        "tokenize.shard_tokens": recipe.tokenize.shard_tokens,
    }
    _check_crawl(recipe.commoncrawl, where)
    _check_decontaminate(recipe.decontaminate, where)
    from mdfs.classify import decide

    decide.check(recipe.classify, where)
    from mdfs.dedup import passagecheck

    passagecheck.check(recipe.dedup, where)
    if recipe.dedup.minhash is not None:
        minhash = recipe.dedup.minhash
        positive |= {"dedup.minhash.ngram": minhash.ngram, "dedup.minhash.num_perm": minhash.num_perm}
        positive["dedup.minhash.max_bucket"] = minhash.max_bucket
        if minhash.verify not in ("exact", "signature"):
            raise UsageError(f'{where}: dedup.minhash.verify must be "exact" or "signature", not {minhash.verify!r}')
        for key, share in (("threshold", minhash.threshold), ("recall", minhash.recall)):
            if not 0 < share < 1:
                raise UsageError(f"{where}: dedup.minhash.{key} must lie between 0 and 1, not {share}")
        if not 0 <= minhash.seed < 1 << 32:
            raise UsageError(f"{where}: dedup.minhash.seed must lie between 0 and 2^32 - 1, not {minhash.seed}")
        from mdfs.dedup.shape import shape

        shape(max(1, minhash.num_perm), minhash.threshold, minhash.recall)
    for key, number in positive.items():
        if number < 1:
            raise UsageError(f"{where}: {key} must be at least 1, not {number}")


def _check_decontaminate(said: Decontaminate, where: str) -> None:
    for key in ("words", "chars", "max_splits", "min_chars"):
        if getattr(said, key) < 1:
            raise UsageError(f"{where}: decontaminate.{key} must be at least 1, not {getattr(said, key)}")
    for key in ("around", "max_documents"):
        if getattr(said, key) < 0:
            raise UsageError(f"{where}: decontaminate.{key} must not be negative")
    if said.benchmarks:
        from mdfs.dedup import benchmarks

        benchmarks.check(said.benchmarks, where)


def _check_crawl(crawl: CommonCrawl, where: str) -> None:
    if crawl.crawl and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", crawl.crawl):
        raise UsageError(f"{where}: commoncrawl.crawl must be an id as CC-MAIN-2021-31, not {crawl.crawl!r}")
    for language in crawl.languages:
        if not re.fullmatch(r"[a-z]{3}", language):
            raise UsageError(f"{where}: commoncrawl.languages are ISO 639-3 codes as 'zho', not {language!r}")
    for key in ("max_records", "max_bytes", "merge_gap"):
        if getattr(crawl, key) < 0:
            raise UsageError(f"{where}: commoncrawl.{key} must not be negative")


def _toml(value: Any) -> str:
    """One TOML value on one line. JSON's strings, numbers, booleans and lists are TOML's too."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k, ensure_ascii=False)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _sha256(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
