"""Import rules, read from the source: who may import whom. Prints what is off and exits with 1.

- pyspark and pysail are imported by mdfs/engine.py alone.
- A stage never imports another stage.
- jobs → mdfs ← classifiers: mdfs imports neither.
- torch, transformers and onnxruntime are imported inside functions, so that `import mdfs…` needs none of them.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("collect", "rules", "dedup", "classify", "tokenize")
LAZY = {"torch", "transformers", "onnxruntime", "fasttext", "onnx", "jieba"}


def imports(tree: ast.AST, top_only: bool = False) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import."""
    nodes = ast.iter_child_nodes(tree) if top_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def offences(path: Path) -> Iterator[str]:
    """What one file does that it may not."""
    inside = path.relative_to(ROOT)
    tree = ast.parse(path.read_text("utf-8"))
    stage = inside.parts[1] if len(inside.parts) > 2 and inside.parts[1] in STAGES else None
    for line, name in imports(tree):
        where = f"{inside}:{line}"
        if name.split(".")[0] in {"pyspark", "pysail"} and inside.as_posix() != "mdfs/engine.py":
            yield f"{where}: imports {name}; only mdfs/engine.py may"
        if name.startswith(("mdfs.jobs", "mdfs.classifiers", "jobs", "classifiers")):
            yield f"{where}: mdfs imports {name}; imports go the other way"
        other = name.split(".")[1] if name.startswith("mdfs.") else ""
        if stage and other in STAGES and other != stage:
            yield f"{where}: stage {stage} imports stage {other}"
    for line, name in imports(tree, top_only=True):
        if name.split(".")[0] in LAZY:
            yield f"{inside}:{line}: imports {name} at the top; import it where it is used"


def main() -> int:
    """Check every module of the package."""
    found = [offence for path in sorted((ROOT / "mdfs").rglob("*.py")) for offence in offences(path)]
    print("\n".join(found) if found else "imports: as the rules say")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
