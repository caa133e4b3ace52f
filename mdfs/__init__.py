"""mdfs, a Massive Data Filtering System: raw web archives, news, encyclopedias and books to token shards."""

__version__ = "0.1.0"
