"""The notebook runs over a real run, imports little, and is committed without outputs."""

from __future__ import annotations

import ast
from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "explore_run.ipynb"
ALLOWED = {"mdfs", "pandas", "matplotlib", "pyarrow", "numpy", "os"}


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_runs(notebook: nbformat.NotebookNode, sample_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell works on a run over the sample, and the plots, tables and stories are there."""
    monkeypatch.setenv("MDFS_RUN", str(sample_run))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    there = {"metadata": {"path": str(NOTEBOOK.parents[1])}}  # mdfs is importable where it is not installed, too
    client = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=there)
    done = client.execute()
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
    printed = "".join(output.get("text", "") for output in outputs)
    for word in ("recipe yuan1", "--- sequence 1", "=> dropped at rules"):
        assert word in printed


def test_it_is_committed_without_outputs(notebook: nbformat.NotebookNode) -> None:
    """Outputs would carry pictures and paths of somebody's machine into the history."""
    for cell in notebook.cells:
        assert cell.cell_type != "code" or (not cell.outputs and cell.execution_count is None), cell.id


def test_it_imports_mdfs_and_what_plots_need(notebook: nbformat.NotebookNode) -> None:
    """What the notebook can do, any script with `import mdfs` can do."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    imported = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= ALLOWED
