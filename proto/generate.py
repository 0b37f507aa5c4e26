"""Generate the Python code of every proto in this folder.

`python proto/generate.py` writes it where it is committed: what agents speak under `client`, what
only `federation` speaks in `federation`. `python proto/generate.py FOLDER` writes all of it
somewhere else, which is how a test notices that what is committed is stale. A file without a
service gets no `_pb2_grpc`, and what was generated from a proto that is gone is removed.
"""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent
COMMITTED = {"llmx": PROTO.parent / "client", "federation": PROTO.parent}
"""Where the code of each folder of this one belongs."""


def generate(into: dict[str, Path]) -> list[Path]:
    """Write the code of each folder under the path it is given and return it all, sorted."""
    unknown = (
        {path.name for path in PROTO.iterdir() if path.is_dir()} - into.keys() - {"__pycache__"}
    )
    assert not unknown, f"nobody said where these belong: {unknown}"
    return sorted(path for folder, root in into.items() for path in _generated(folder, root))


def _generated(folder: str, into: Path) -> set[Path]:
    sources = sorted((PROTO / folder).rglob("*.proto"))
    assert sources, f"there is no proto in {folder}"
    into.mkdir(parents=True, exist_ok=True)
    arguments = [
        "protoc",
        f"--proto_path={PROTO}",
        f"--proto_path={resources.files('grpc_tools') / '_proto'}",
        f"--python_out={into}",
        f"--pyi_out={into}",
        f"--grpc_python_out={into}",
        *(str(source) for source in sources),
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc refused the protos, see above")
    wanted = {path for source in sources for path in _code_of(source, into)}
    for generated in {path.parent for path in wanted}:
        for path in generated.glob("*_pb2*.py*"):
            if path not in wanted:
                path.unlink()
    return wanted


def _code_of(source: Path, into: Path) -> list[Path]:
    stem = into / source.relative_to(PROTO).with_suffix("")
    endings = ["_pb2.py", "_pb2.pyi"]
    if source.stem.endswith("_service"):
        endings.append("_pb2_grpc.py")
    return [stem.with_name(stem.name + ending) for ending in endings]


if __name__ == "__main__":
    one = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    written = generate({folder: one or root for folder, root in COMMITTED.items()})
    print(f"{len(written)} files generated in {one or ' and '.join(map(str, COMMITTED.values()))}")
