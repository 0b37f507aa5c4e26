"""Generate the Python code of every proto in this folder.

`python proto/generate.py` writes it where it is committed, under `client`;
`python proto/generate.py FOLDER` writes it somewhere else, which is how a test notices that
what is committed is stale. A file without a service gets no `_pb2_grpc`, and what was generated
from a proto that is gone is removed.
"""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent
COMMITTED = PROTO.parent / "client"


def generate(into: Path) -> list[Path]:
    """Write the code under `into` and return what was written, sorted."""
    sources = sorted(PROTO.rglob("*.proto"))
    assert sources, "there is no proto beside this script"
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
    for folder in {path.parent for path in wanted}:
        for path in folder.glob("*_pb2*.py*"):
            if path not in wanted:
                path.unlink()
    return sorted(wanted)


def _code_of(source: Path, into: Path) -> list[Path]:
    stem = into / source.relative_to(PROTO).with_suffix("")
    endings = ["_pb2.py", "_pb2.pyi"]
    if source.stem.endswith("_service"):
        endings.append("_pb2_grpc.py")
    return [stem.with_name(stem.name + ending) for ending in endings]


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else COMMITTED
    print(f"{len(generate(target))} files generated in {target}")
