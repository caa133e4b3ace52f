"""Crawls one after another against an index, and all of them in one run, for the tests of the index."""

from dataclasses import replace

from dedup_corpus import ALL, duplicates, make_run, source

from mdfs.dedup import index_add, index_join, stage
from mdfs.parts import read_part
from mdfs.recipe import MinHash

SIGNED = replace(ALL, minhash=MinHash(verify="signature"))


def crawl(folder, dedup, docs, worker, *, index="", old_runs=(), sources=(), parts=3):
    """Dedup over one crawl, against an index where one is given."""
    run = make_run(folder, dedup, docs, parts=parts, sources=sources, with_engine=worker)
    run.index, run.old_runs = index, old_runs
    stage.run(run)
    return run


def superseded(run):
    """Old documents that lost their place: doc_id → duplicate_of."""
    if not run.store.exists(index_join.SUPERSEDED):
        return {}
    rows = (row for batch in read_part(run.store, index_join.SUPERSEDED) for row in batch.to_pylist())
    return {row["doc_id"]: row["duplicate_of"] for row in rows}


def ids(docs):
    return {doc["doc_id"] for doc in docs}


def one_after_another(folder, dedup, crawls, worker, *, exact=False):
    """Kept documents in the end, and the rows of all duplicates, of crawls of which each is checked and added."""
    index, runs, kept, rows = str(folder / "index"), [], set(), {}
    for number, docs in enumerate(crawls):
        old_runs = tuple(run.store.uri for run in runs) if exact else ()
        known = index if runs else ""
        run = crawl(folder / f"crawl-{number}", dedup, docs, worker, index=known, old_runs=old_runs)
        index_add.add(run, index)
        kept = (kept | ids(docs)) - duplicates(run).keys() - superseded(run).keys()
        rows |= duplicates(run)
        runs.append(run)
    return kept, rows


def all_at_once(folder, dedup, crawls, worker, *, ranked):
    """The same of one run; `ranked` gives earlier crawls the higher priority."""
    docs, sources = [], []
    for number, of_crawl in enumerate(crawls):
        name = f"crawl-{number}" if ranked else "web"
        docs += [doc | {"source": name} for doc in of_crawl]
        sources.append(source(name, len(crawls) - number if ranked else 0))
    run = crawl(folder / "joint", dedup, docs, worker, sources=sources)
    return ids(docs) - duplicates(run).keys(), duplicates(run)
