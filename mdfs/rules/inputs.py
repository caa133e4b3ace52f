"""Files and libraries that a recipe's rules rest on, for its digest: word lists, domain lists, models, dictionaries."""

from __future__ import annotations

from typing import Any

from mdfs.recipe import Recipe


def digests(recipe: Recipe) -> dict[str, Any]:
    """What changes the output of the rules and stands in no recipe: plain data, whole contents as digests.

    Raises:
        UsageError: a file is missing, or a library that the recipe needs.
    """
    from mdfs.rules import phrases

    said: dict[str, Any] = {"lists": phrases.digest(recipe)}
    if recipe.urls.listed:
        from mdfs.rules import addresses

        said["domains"] = [addresses.digest(recipe.path(entry)) for entry in recipe.urls.listed]
    if recipe.language.model:
        from mdfs.rules import language

        said["language"] = language.digest(recipe.path(recipe.language.model))
    from mdfs.rules import compression

    if compression.asked(recipe):
        said["zlib"] = compression.version()
    if recipe.edits.simplify:
        from mdfs.rules import simplify

        said["opencc"] = simplify.version()
    return said
