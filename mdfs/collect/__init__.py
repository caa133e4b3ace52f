"""Collection: source files of many kinds become documents.

documents.py    what comes out of a file, and how it becomes tables
stage.py        the stage: one input file is one unit of work
crawlindex.py   which records of a Common Crawl a selection means
urlpatterns.py  URL patterns of a selection
crawlplan.py    selected records, grouped into units of work
ranges.py       near records read by one request
fetch.py        byte ranges over http and pyarrow.fs, with patience
readers/        one module a kind of file; their tuple in readers/__init__.py
streams.py      looking into compressed files
encoding.py     bytes to text
common_hanzi.py the characters that tell a right decoding
html.py         a page's title, main text and facts; refuses pages made to break parsers
blocks.py       which lines of a page are its text
payload.py      HTTP transfer and content encodings
wikitext.py     wikitext to prose
"""
