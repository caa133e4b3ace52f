"""Build the wheel and compare what it holds with the tree: nothing missing, nothing of tests, one name, small.

Prints what is off and exits with 1.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Models and tokenizer are the bulk; more than this in a wheel is a mistake.
MAX_BYTES = 25 << 20


def expected() -> set[str]:
    """Every tracked file of the package, by its name in the wheel."""
    listed = subprocess.run(
        ["git", "ls-files", "mdfs", "jobs", "classifiers"], cwd=ROOT, capture_output=True, text=True
    )
    names = set()
    for name in listed.stdout.split("\n"):
        top, _, rest = name.partition("/")
        if top == "mdfs":
            names.add(name)
        elif rest.endswith(".py"):
            names.add(f"mdfs/{top}/{rest}")
    return names


def main() -> int:
    """Build and compare."""
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # files of an earlier build would be packed again
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, str(ROOT)], check=True
        )
        wheel = next(Path(folder).glob("*.whl"))
        size = wheel.stat().st_size
        with zipfile.ZipFile(wheel) as archive:
            held = {name for name in archive.namelist() if ".dist-info/" not in name}
    problems = [f"not in the wheel: {name}" for name in sorted(expected() - held)]
    problems += [f"in the wheel, not in the tree: {name}" for name in sorted(held - expected())]
    if size > MAX_BYTES:
        problems.append(f"the wheel has {size:,} bytes, more than {MAX_BYTES:,}")
    print("\n".join(problems) if problems else f"wheel: {len(held)} files, {size:,} bytes, as the tree has it")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
