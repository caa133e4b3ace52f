"""Collection: source files of many kinds become documents.

documents.py    what comes out of a file, and how it becomes tables
stage.py        the stage: one input file is one unit of work
readers/        one module a kind of file; their tuple in readers/__init__.py
streams.py      looking into compressed files
encoding.py     bytes to text
html.py         a page's title, main text and facts
payload.py      HTTP transfer and content encodings
wikitext.py     wikitext to prose
"""
