"""Batches of documents for the tests of the rules."""

from __future__ import annotations

import pyarrow as pa

from mdfs import schema

PROSE = (
    "清晨的巷子里飘着豆浆的香气，卖早点的老人把炉火拨得很旺。孩子们背着书包从他身边跑过，笑声一直传到街口。"
    "他并不着急，只是慢慢地把油条翻一个身，等它变成金黄的颜色。有人问他为什么不换一个热闹的地方，他说这里住着"
    "几十年的老邻居，少了他的炉子，大家的早晨就不完整了。后来城里的楼越修越高，这条巷子却留了下来。每到冬天，"
    "白色的热气从锅里升起，和人们说话时呼出的气混在一起，远远看去像一层薄雾。"
)


def batch(
    texts: list[str],
    *,
    titles: list[str] | None = None,
    urls: list[str] | None = None,
    sources: list[str] | None = None,
) -> pa.RecordBatch:
    n = len(texts)
    columns = {
        "doc_id": [f"{k:032x}" for k in range(n)],
        "source": sources or ["web"] * n,
        "source_key": [str(k) for k in range(n)],
        "url": urls or [""] * n,
        "fetched_at": [None] * n,
        "title": titles or [""] * n,
        "text": texts,
        "meta": [[] for _ in range(n)],
    }
    arrays = [pa.array(columns[field.name], field.type) for field in schema.DOCUMENT]
    return pa.RecordBatch.from_arrays(arrays, schema=schema.DOCUMENT)
