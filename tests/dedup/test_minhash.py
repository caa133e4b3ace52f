"""Shingles against a Python reference, signatures against datasketch."""

import re
import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from mdfs.dedup.minhash import EMPTY, shingle_hashes, shingles, signatures, sketches
from mdfs.dedup.words import WORD

TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="ab 一二三，。Ａ😀\n_é", max_size=60),
    st.text(alphabet="a", max_size=300),
)


def by_datasketch(text, ngram, num_perm, seed):
    sketch = MinHash(num_perm=num_perm, seed=seed, scheme="affine32", hashfunc=lambda b: int.from_bytes(b, "little"))
    hashes = shingle_hashes(text, ngram=ngram).tolist()
    sketch.update_batch([value.to_bytes(4, "little") for value in hashes])
    return sketch.hashvalues


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, max_size=6), st.integers(1, 9), st.sampled_from([1, 3, 64, 128]), st.integers(0, 2**32 - 1))
def test_signatures_are_those_of_datasketch(texts, ngram, num_perm, seed):
    found = signatures(pa.array(texts, pa.string()), ngram=ngram, num_perm=num_perm, seed=seed)
    assert found.dtype == np.uint32
    assert found.shape == (len(texts), num_perm)
    for text, row in zip(texts, found, strict=True):
        assert np.array_equal(by_datasketch(text, ngram, num_perm, seed), row)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.integers(1, 7))
def test_shingles_are_windows_over_word_characters(text, ngram):
    words = re.sub(r"[\W_]", "", text)
    windows = [words[i : i + ngram] for i in range(max(1, len(words) - ngram + 1))] if words else []
    hashes = shingle_hashes(text, ngram=ngram).tolist()
    assert len(hashes) == len(windows)
    assert len(set(zip(windows, hashes, strict=True))) == len(set(windows)) == len(set(hashes))


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8), st.integers(0, 8), st.integers(0, 8), st.booleans())
def test_slices_and_wide_offsets_change_nothing(texts, start, length, wide):
    column = pa.array(texts, pa.large_string() if wide else pa.string()).slice(start, length)
    alone = [signatures(pa.array([t]), ngram=5, num_perm=16, seed=1)[0] for t in texts[start : start + length]]
    assert np.array_equal(signatures(column, ngram=5, num_perm=16, seed=1), np.array(alone, np.uint32).reshape(-1, 16))
    hashes, ends = shingles(column, ngram=5)
    for i, text in enumerate(texts[start : start + length]):
        assert np.array_equal(hashes[ends[i] : ends[i + 1]], shingle_hashes(text, ngram=5))


def test_a_text_without_words_has_no_shingle_and_the_empty_signature():
    found, counts = sketches(pa.array(["", " \n，_"]), ngram=5, num_perm=8, seed=1)
    assert (found == EMPTY).all()
    assert counts.tolist() == [0, 0]


def test_a_text_longer_than_a_block_of_the_kernel():
    text = "".join(chr(0x4E00 + i * 7919 % 20_000) for i in range(9_000))
    assert np.array_equal(
        by_datasketch(text, 5, 128, 1), signatures(pa.array([text]), ngram=5, num_perm=128, seed=1)[0]
    )


def test_similarity_is_estimated_without_bias():
    base = "".join(chr(0x4E00 + i * 7919 % 20_000) for i in range(3_000))
    errors = []
    for shift in range(100, 1_500, 100):
        common = 1_500 - shift - 4
        pair = pa.array([base[:1_500], base[shift : 1_500 + shift]])
        for seed in range(20):
            one, other = signatures(pair, ngram=5, num_perm=128, seed=seed)
            errors.append((one == other).mean() - common / (2 * 1_496 - common))
    assert abs(np.mean(errors)) < 0.01


@pytest.mark.parametrize("bad", [pa.array(["a", None]), pa.array([1]), pa.array([["a"]])])
def test_nulls_and_other_types_are_refused(bad):
    with pytest.raises(ValueError, match=r"nulls|string column"):
        signatures(bad, ngram=5, num_perm=8, seed=1)


@pytest.mark.parametrize(("ngram", "num_perm", "seed"), [(0, 8, 1), (5, 0, 1), (5, 8, -1), (5, 8, 2**32)])
def test_numbers_out_of_range_are_refused(ngram, num_perm, seed):
    with pytest.raises(ValueError, match=r"at least 1|[Ss]eed"):
        signatures(pa.array(["a"]), ngram=ngram, num_perm=num_perm, seed=seed)


def test_broken_utf8_is_walked_over_and_stays_inside_the_text():
    raw = [b"\xe4\xb8", b"\xff\xfea\x80", b"\xf0\x9f\x98", b"\xf7\xbf\xbf\xbf", b"abc\xe4"]
    assert [len(shingles(pa.array([r], pa.binary()), ngram=1)[0]) for r in raw] == [0, 1, 0, 0, 3]


def test_lone_surrogates_are_no_words():
    assert np.array_equal(shingle_hashes("一\ud800二", ngram=2), shingle_hashes("一二", ngram=2))


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="the table is that of Unicode 14")
def test_the_word_table_is_that_of_re():
    word = re.compile(r"[^\W_]")
    assert WORD.tolist() == [word.match(chr(code)) is not None for code in range(sys.maxunicode + 1)]
