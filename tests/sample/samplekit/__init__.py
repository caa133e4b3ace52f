"""Parts of tests/sample/build.py: read pages, derive further ones, dress them, pack them."""
