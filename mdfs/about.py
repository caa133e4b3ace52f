"""What a run's folder says of itself, for commands that look at it later; no stage is imported for that."""

from __future__ import annotations

from mdfs.errors import UsageError
from mdfs.recipe import Recipe, from_dict, load
from mdfs.storage import Store

#: The file: version, recipe, its digest, and by which words of a recipe each stage was done.
ABOUT = "ledger/run.json"


def recipe_of(store: Store, otherwise: str = "") -> Recipe:
    """The recipe by which a run's folder was made; where no run has written yet, the one called `otherwise`.

    Raises:
        UsageError: the folder is no run's folder and `otherwise` is empty.
    """
    if not store.exists(ABOUT):
        if otherwise:
            return load(otherwise)
        raise UsageError(f"{store.uri}: no run has written there; check the path")
    said = store.read_json(ABOUT)
    return from_dict(said["recipe"], where=f"{store.uri}/{ABOUT}")
