"""Finds copies: the same address, the same text, nearly the same text; keeps the best of them."""
