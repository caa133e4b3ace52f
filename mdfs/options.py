"""What a recipe may say, a dataclass a table; `mdfs.recipe` reads, checks and digests it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Limit:
    """What a measurement may be.

    Attributes:
        min, max: the smallest and the largest number; open where not given.
        any_of, none_of: for measurements that are words: those allowed, and those not.
    """

    min: float | None = None
    max: float | None = None
    any_of: tuple[str, ...] | None = None
    none_of: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Source:
    """What is known beforehand about the inputs that `match` fits.

    Attributes:
        match: glob against `<input's base name>/<path inside it>`, as in `web/**/*.warc.gz`; `*` alone fits all.
        name: the `source` of their documents; the input's base name where empty.
        reader: name of a reader (`mdfs source list`); found by name and content where empty.
        fields: for tables and JSONL: document column → the file's own column, as `text = "body"`.
        priority: of two copies the one from the source of higher priority stays.
    """

    match: str = "*"
    name: str = ""
    reader: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    priority: int = 0


@dataclass(frozen=True)
class Collect:
    """Limits of collection.

    Attributes:
        max_record_bytes: a longer record is quarantined (16 MiB: Common Crawl itself cuts payloads at 1 MiB).
        max_text_chars: a longer text is quarantined.
        record_seconds: a record that is worked on for longer is quarantined (the slowest honest page seen took under
            1 s). Waiting for the storage does not count.
        part_documents, part_bytes: a part file is closed when it holds this many documents or bytes of text.
    """

    max_record_bytes: int = 16 << 20
    max_text_chars: int = 8_000_000
    record_seconds: float = 10.0
    part_documents: int = 20_000
    part_bytes: int = 128 << 20


@dataclass(frozen=True)
class CommonCrawl:
    """Records of a Common Crawl that are collected beside the inputs; none where `crawl` is empty.

    The columnar index says which records there are. What is asked for must all hold; an empty list asks for nothing.

    Attributes:
        crawl: its id, as "CC-MAIN-2021-31"; also the `source` of its documents, unless a `[[source]]` that matches
            `<crawl>/<WARC file>` names another.
        subset: of the index: "warc" (pages), "crawldiagnostics" (404s, redirects), "robotstxt".
        languages: ISO 639-3 codes as CLD2 found them, as "zho"; crawls since CC-MAIN-2018-39 have them.
        first_language_only: a page counts for its main language alone, not for one of up to three.
        urls: patterns: `example.cn` (this host and all under it), `*.gov.cn` (the same), `example.cn/news/*` (`*` is
            any run of characters), `re:…` (an RE2 expression found anywhere in the URL).
        mime: types by content, as "text/html"; `*` is any run of characters.
        status: HTTP statuses.
        max_records, max_bytes: at most so many records, or records that are so long together (compressed, as they are
            archived); 0: no bound. A fair sample is cut: records stay in the order of a hash of file and offset.
        merge_gap: records of a file with at most so many bytes between them are read by one request. The first byte
            takes about 0.1 s; eight requests are under way at once, and a worker takes in about 10 MB/s, so a request
            costs as much as 0.1 / 8 * 10 MB = 125 kB.
        index, data: the folder with `crawl=…/subset=…/*.parquet`, and the one in which the index's file names begin:
            paths, s3://, gs://, hdfs:// or http(s)://. In Amazon's us-east-1, s3://commoncrawl/… is faster (it wants
            credentials). Like `merge_gap` they say how to read and not what, so they are no part of the digest.
    """

    crawl: str = ""
    subset: str = "warc"
    languages: tuple[str, ...] = ()
    first_language_only: bool = False
    urls: tuple[str, ...] = ()
    mime: tuple[str, ...] = ()
    status: tuple[int, ...] = (200,)
    max_records: int = 0
    max_bytes: int = 0
    merge_gap: int = 128 << 10
    index: str = "https://data.commoncrawl.org/cc-index/table/cc-main/warc"
    data: str = "https://data.commoncrawl.org"

    def selection(self) -> dict[str, Any]:
        """Plain data over what decides which records are collected."""
        return {key: value for key, value in plain(self).items() if key not in ("index", "data", "merge_gap")}


@dataclass(frozen=True)
class Edits:
    """Edits of the text. Each is off unless the recipe says so; all but `pii` are made before it is measured.

    Attributes:
        unicode: control characters, byte order marks and zero-width characters go; line ends become `\\n`; full-width
            ASCII letters and digits become half-width, while Chinese punctuation stays.
        whitespace: runs of blanks become one space, empty lines go, lines are trimmed at both ends.
        boilerplate: short lines that as a whole are a copyright notice, a share bar or page navigation go.
        end_marks: lines that do not end in a mark that ends a sentence go (C4, with Chinese marks).
        min_line_units: lines with fewer reading units (Han characters, words, numbers) go (C4: 5 words).
        drop_lines_with: lines that hold one of these words go, in whatever case (C4: javascript).
        paragraphs: lines of 20 characters and more that stood in the document before go.
        simplify: traditional Chinese becomes simplified, by OpenCC (`pip install mdfs[opencc]`).
        pii: kinds of personal data that a token replaces: phone, id_card, bank_card, email, im, plate, ip.
        pii_tokens: kind → another token than `<PHONE>`, `<ID_CARD>` and so on: the kind in capitals.
    """

    unicode: bool = False
    whitespace: bool = False
    boilerplate: bool = False
    end_marks: bool = False
    min_line_units: int = 0
    drop_lines_with: tuple[str, ...] = ()
    paragraphs: bool = False
    simplify: bool = False
    pii: tuple[str, ...] = ()
    pii_tokens: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WordList:
    """What a recipe says about a category of words (`mdfs.rules.phrases.CATEGORIES`).

    Attributes:
        words: names of shipped lists and paths of text files with one entry a line; together they are the category.
            Where empty, the shipped list of the category's name.
        severity: 1 to 3; words of categories with 3 count as sensitive. The category's own where not given.
        exempt: globs; in documents of sources that fit, the category is not counted (its measurements are null).
        exempt_words: glob → entries that do not count in documents of sources that fit.
    """

    words: tuple[str, ...] = ()
    severity: int | None = None
    exempt: tuple[str, ...] = ()
    exempt_words: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Urls:
    """What documents' addresses are compared with; the result is measured, and limits under `[rules]` decide.

    Attributes:
        listed: files with a domain a line, or folders that hold such files named `domains` (UT1's form); a document
            is listed when its host or a parent of its host is.
        patterns: globs against the whole address, as in `*/tag/*`.
    """

    listed: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Language:
    """Language identification beyond scripts.

    Attributes:
        model: path of a fastText model with labels `__label__<code>` (lid.176.ftz); empty: scripts only.
    """

    model: str = ""


@dataclass(frozen=True)
class MinHash:
    """Near-duplicates by MinHash.

    Attributes:
        ngram: length of a shingle in characters; text is taken without white space and punctuation.
        num_perm: permutations in a signature.
        threshold: Jaccard similarity of shingle sets from which two texts are copies; verified for every pair.
        verify: by what. "exact": the shingle sets themselves, which takes a second look at the texts of candidates;
            "signature": the share of equal values in the two signatures, an estimate with a standard deviation of
            sqrt(s (1 - s) / num_perm), 0.035 at similarity 0.8 with 128 permutations. It reads no text again and
            keeps 4 bytes a permutation of every document in dedup/keys.
        recall: the share of pairs exactly at the threshold that the bands must propose; decides bands and rows.
        min_shingles: shorter texts are compared exactly only.
        max_bucket: documents that share a band, a bucket, are each compared with one that the band draws and with
            their neighbour in length; in a bucket with more documents than this, a hot one, with the drawn one only.
            They are then counted without sorting them, so that no worker holds a bucket. No document is left out;
            the ledger's row `dedup-pairs` and the report name the hot buckets. 10,000: half of a part file, beyond
            which one bucket costs a worker more than a part does; a page's reprints seldom reach it, templates do.
        seed: of the permutations.
    """

    ngram: int = 5
    num_perm: int = 128
    threshold: float = 0.8
    recall: float = 0.95
    min_shingles: int = 10
    verify: str = "exact"
    max_bucket: int = 10_000
    seed: int = 1


@dataclass(frozen=True)
class Lines:
    """Boilerplate by the line: what stands in many documents is cut out of all of them.

    Copies do not count, since dedup has removed them before, and a line counts once a document. Lines are compared
    by their word characters, in small letters and with each digit as 0 (CCNet: Wenzek et al. 2020, arXiv:1911.00359).
    Where C4 (Raffel et al. 2020, arXiv:1910.10683) leaves one of all spans of three sentences that repeat, and
    RefinedWeb (Penedo et al. 2023, arXiv:2306.01116) knows boilerplate by its wording, this counts lines.

    Attributes:
        unit: "line", or "paragraph": lines without a blank line between them.
        max_documents: what stands in more documents goes. Llama 3 has 6 (Grattafiori et al. 2024, arXiv:2407.21783,
            section 3.1.1, for 30 million documents).
        min_hosts: and in documents of at least so many hosts; those without an address count as their source's. A
            site's menu stands on one host, so 1 by default; 2 and more leave what only one site repeats.
        min_line_chars: shorter lines are left alone, counted in word characters without digits. Verse, dialogue and
            headings repeat because they are short: a couplet has 14 characters, so 15 lets it be.
        code: lines of code are left alone (`mdfs.dedup.lines` says what they are); false: they are compared too.
        exempt: globs; documents of sources that fit are neither counted nor cut, as poetry and prayer books.
        min_chars: a document that lost lines and has fewer characters left is dropped. PanGu-α drops texts under 150
            (Zeng et al. 2021, arXiv:2104.12369).
    """

    unit: str = "line"
    max_documents: int = 6
    min_hosts: int = 1
    min_line_chars: int = 15
    code: bool = True
    exempt: tuple[str, ...] = ()
    min_chars: int = 150


@dataclass(frozen=True)
class Substring:
    """Passages that repeat, letter by letter, as in Lee et al. 2022 (arXiv:2107.06499): all but the first go.

    The first is that of the document that would stay if the two were copies; within a document, the first in the text.

    Attributes:
        span_chars: passages of so many Chinese characters, or of three times as many ASCII letters: length is counted
            in UTF-8 bytes, three for each. The paper has 50 BPE tokens; a token is 1.3 to 2.1 Chinese characters
            in five kinds of text (4 to 6 bytes; English has about 4.5 a token), so 75 characters, 225 bytes, are 50
            tokens of 1.5 characters in either script.
        action: "cut", or "count": the ledger, the report and dedup/passages say what repeats, and all stays.
        min_chars: a document that lost passages and has fewer characters left is dropped; 150 as for lines.
    """

    span_chars: int = 75
    action: str = "cut"
    min_chars: int = 150


@dataclass(frozen=True)
class Containment:
    """Texts that stand inside a longer one go: a press release in a page, a chapter in a book.

    It is looked for among what other dedup leaves, by sampled grams (`mdfs.dedup.sampledgrams`), and verified by the
    shingles of MinHash (5 characters where it is not asked for). The longer text stays unless it goes itself; a text
    of higher priority does not go in favour of a longer one of lower priority.

    Attributes:
        threshold: the share of the shorter text's shingles that must stand in the longer one. An edit takes a
            character's five shingles, so a text with one edit in every 50 characters is at 0.9.
        min_chars: shorter texts, in word characters, are left alone: they have too few samples to be found (9 at 300).
        max_bucket: samples that more documents have are not looked at, being phrases. 1,000: a text of which all
            samples are in so many others is found as lines are.
    """

    threshold: float = 0.9
    min_chars: int = 300
    max_bucket: int = 1_000


@dataclass(frozen=True)
class Dedup:
    """Which copies are looked for, and which of them stays.

    Attributes:
        containment: texts that stand inside longer ones, looked for in what the others leave.
        lines: boilerplate by the line, looked for in what stays. substring: passages that repeat, in what is left then.
        prefer: signals compared in this order after the source's priority, greater is better, rounded to 2 decimals;
            then the longer text, then the smaller doc_id stays.
        old_stays: of copies in an index (`--index`) and new ones an old one stays, of an earlier run before a later
            one; else the order above decides, and old ones that lose are listed in dedup/superseded.
    """

    url: bool = False
    exact: bool = False
    minhash: MinHash | None = None
    containment: Containment | None = None
    lines: Lines | None = None
    substring: Substring | None = None
    prefer: tuple[str, ...] = ()
    old_stays: bool = True


@dataclass(frozen=True)
class Benchmark:
    """A test set that must not be in the corpus.

    Attributes:
        name: a known layout (`mdfs.dedup.benchmarks.LAYOUTS`: tnews, ceval, piqa …) or a name of your own.
        path: a file, a folder or a glob: JSON lines or CSV with a header, also compressed.
        fields: the fields whose texts are looked for, `a.b` being b in a; empty: those of the known layout.
    """

    name: str
    path: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decontaminate:
    """Test sets are cut out of the documents, as for GPT-3 (Brown et al. 2020, arXiv:2005.14165, appendix C).

    A text that shares an n-gram with a test set loses it and what stands around it, so that it falls into pieces. The
    pieces stay one document, since a document is never counted twice; a blank line marks each cut.

    Attributes:
        benchmarks: the test sets, 64 at most.
        words: n for scripts that put blanks between words; the paper has 13.
        chars: n for Chinese and others that do not, where each character counts. 18 is the shortest that quoted verse
            and sayings do not reach; `mdfs.dedup.grams` has what we measured for 10 to 26.
        around: characters removed on either side of an n-gram; the paper has 200.
        min_chars: shorter pieces go; 200 in the paper. A document with no other piece is dropped.
        max_splits: a document that falls into more pieces is dropped; 10 in the paper.
        max_documents: n-grams in more documents (copies not counted) are left alone, as sayings, laws and the like;
            10 in the paper, 0 leaves none alone.
    """

    benchmarks: tuple[Benchmark, ...] = ()
    words: int = 13
    chars: int = 18
    around: int = 200
    min_chars: int = 200
    max_splits: int = 10
    max_documents: int = 10


@dataclass(frozen=True)
class Classify:
    """The fine filter. A document goes for any reason that there is: to let the draw or the share alone decide, keep
    all labels.

    Attributes:
        model: name of a shipped artifact or path of an artifact folder; empty: no fine filter.
        keep: labels that stay; a document's label is its most probable one.
        min_score: label → the probability that a kept document must at least have for it.
        rank_by: the label whose probability is the score of the two below.
        pareto_alpha: a document stays where a Pareto number drawn from its id exceeds 1 - score; GPT-3 has 9
            (Brown et al. 2020, arXiv:2005.14165, appendix A), the Pile and MT-NLG 3; 0: no draw.
        top_share: glob of a source's name → the share of its documents, best scores first, that stays; a source that
            no glob fits keeps all. Counted over what dedup left of the source.
    """

    model: str = ""
    keep: tuple[str, ...] = ("high",)
    min_score: dict[str, float] = field(default_factory=dict)
    rank_by: str = "high"
    pareto_alpha: float = 0.0
    top_share: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Tokenize:
    """Token shards.

    Attributes:
        tokenizer: name of a shipped tokenizer or path of a tokenizer.json.
        eod: the token that ends a document, as it is spelt in the tokenizer's vocabulary.
        shard_tokens: a shard is closed when it holds this many tokens (100 M: 400 MB of uint32 before zstd).
        partition_by_language: each shard holds documents of one language (the measurement `lang`), in
            `shards/<source>/lang=<code>/`; the manifest says which. What the corpus contains stays the same.
    """

    tokenizer: str = "starter"
    eod: str = "<|endoftext|>"
    shard_tokens: int = 100_000_000
    partition_by_language: bool = False


def plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as what JSON and TOML know."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, plain(getattr(value, f.name))) for f in dataclasses.fields(value))
        return {key: item for key, item in pairs if item is not None}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
