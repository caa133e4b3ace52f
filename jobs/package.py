"""Pack mdfs into one zip for `spark-submit --py-files`: python -m mdfs.jobs.package dist/mdfs.zip"""

import sys
import zipfile
from pathlib import Path

import mdfs

_LEFT_OUT = {"__pycache__"}


def package(target: Path) -> int:
    """Write the zip; returns the number of files in it. Its times are fixed, so equal code gives an equal zip."""
    root = Path(mdfs.__file__).parent
    files = sorted(path for path in root.rglob("*") if path.is_file() and not _LEFT_OUT & set(path.parts))
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(f"mdfs/{path.relative_to(root).as_posix()}", (1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return len(files)


if __name__ == "__main__":
    print(f"{sys.argv[1]}: {package(Path(sys.argv[1]))} files")
