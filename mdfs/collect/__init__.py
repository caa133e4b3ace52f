"""Collection: source files of many kinds become documents.

documents.py    what comes out of a file, and how it becomes tables
stage.py        the stage: one input file is one unit of work
readers/        one module a kind of file; their tuple in readers/__init__.py
streams.py      looking into compressed files
encoding.py     bytes to text
common_hanzi.py the characters that tell a right decoding
html.py         a page's title, main text and facts; refuses pages made to break parsers
blocks.py       which lines of a page are its text
payload.py      HTTP transfer and content encodings
wikitext.py     wikitext to prose
"""
