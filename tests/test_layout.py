"""Rules about the code itself: what reviewers tire of, each with its reason."""

from __future__ import annotations

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("gateway", "federation", "policy", "client", "loadtest")
FOLDERS = (*PRODUCT, "proto", "tests")
LINES_MAX = 400
TEXT = {".md", ".py", ".toml", ".yaml", ".yml", ".json", ".proto", ".txt", ".in", ".cfg", ".sh", ""}
FILE_BYTES_MAX = 1 << 20
SKIPPED = {".git", ".venv", "node_modules", "build", "dist", "htmlcov", "__pycache__"}
SKIPPED |= {"runs", "profiles"}  # what measurements leave behind

SAYS = re.compile(r'(?:\s|#[^\n]*\n)*r?"""\s*[^"\s]')
"""What a module begins with: a docstring that is not empty, after comments at most."""

LONG_FOR_A_REASON: dict[str, str] = {}

NO_TEST_FILE_FOR_A_REASON: dict[str, str] = {
    "gateway/app.py": "pure wiring; tests/integration starts it",
    "gateway/app_figures.py": "names of metrics and where they are; tests/integration scrapes them",
    "gateway/app_limits.py": "one field into another; tests/integration starts it",
    "gateway/cluster.py": "pure wiring; tests/integration/test_cluster* start it",
    "gateway/cli.py": "names the commands; each command has its tests",
}

# No loop, no wire, no clock, no chance: what these say depends on what they are told only.
PURE = {
    "federation": {
        "announcer",
        "backoff",
        "commons",
        "directory",
        "entries",
        "fencing",
        "greeting",
        "link",
        "membership",
        "mesh",
        "neighbour",
        "peer_states",
        "placement",
        "pulse",
        "regional_topics",
        "relays",
        "standing",
        "way",
    },
    "federation/etcd": {"history", "transactions"},
    "gateway": {"outbox", "link", "mailbox_index", "quota", "allowances", "duplicates"},
    "gateway/telemetry": {"audit_chain", "names"},
    "client/llmx": {"inbox", "link", "outbox", "route", "seen"},
}
IMPURE_POLICY = {"shard", "store"}
IMPURE = {"asyncio", "grpc", "random", "secrets", "socket", "threading", "time"}


def _modules(*folders: str) -> list[Path]:
    """Return every module that a person wrote."""
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "_pb2" not in path.name and not SKIPPED & set(path.parts)
    ]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def _tests_with(*words: str) -> Iterator[tuple[Path, ast.AST]]:
    """Yield what stands in tests that have one of these words: to parse all takes long."""
    for path in _modules("tests"):
        if any(word in path.read_text("utf-8") for word in words):
            for node in ast.walk(_tree(path)):
                yield path, node


def _text_files() -> Iterator[Path]:
    """Yield every file that may be committed and read; caches are neither."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in SKIPPED and not _is_cache(name)]
        for name in set(files) - {".coverage"}:
            path = Path(folder, name)
            if path.suffix in TEXT and path.is_file() and path.stat().st_size <= FILE_BYTES_MAX:
                yield path


def _is_cache(name: str) -> bool:
    return name.startswith(".") and name != ".ci"


def _imported(tree: ast.Module) -> set[str]:
    """Return the first part of every name that is imported."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_no_module_is_named_after_nothing() -> None:
    """Who cannot name a module has not found its subject; such a module only ever grows."""
    empty = {"utils", "util", "common", "helpers", "helper", "base", "misc", "shared"}
    found = [_name(path) for path in _modules(*FOLDERS) if {path.stem, path.parent.name} & empty]
    assert not found


def test_every_module_says_what_lives_in_it() -> None:
    """It is what a reader believes while reading on."""
    silent = [_name(path) for path in _modules(*FOLDERS) if not SAYS.match(path.read_text("utf-8"))]
    assert not silent


def test_no_module_is_longer_than_one_subject_needs() -> None:
    """The messes we learned from were all one file that nobody split."""
    lengths = {
        _name(path): len(path.read_text("utf-8").splitlines()) for path in _modules(*FOLDERS)
    }
    long = {name: count for name, count in lengths.items() if count > LINES_MAX}
    assert long.keys() <= LONG_FOR_A_REASON.keys(), long
    assert LONG_FOR_A_REASON.keys() <= long.keys(), "an exception that is not needed any more"


def _test_files_for(path: Path) -> list[Path]:
    folder, *inside = path.relative_to(ROOT).with_suffix("").parts
    if folder == "client":
        inside = inside[1:]  # client/llmx/agent.py is tested in tests/unit/client/test_agent.py
    unit = ROOT / "tests" / "unit" / folder
    return [
        unit.joinpath(*inside[:-1], f"test_{inside[-1]}.py"),
        unit / f"test_{'_'.join(inside)}.py",
    ]


def test_every_module_has_a_test_file_of_its_name() -> None:
    """What a module promises is found by its name, and its absence is seen."""
    missing = [
        _name(path)
        for path in _modules("policy", "gateway", "federation", "client/llmx")
        if path.name not in {"__init__.py", "__main__.py"}
        and _name(path) not in NO_TEST_FILE_FOR_A_REASON
        and not any(test.is_file() for test in _test_files_for(path))
    ]
    assert not missing


def test_every_unit_test_file_has_its_module() -> None:
    """A file that tests what is gone is read for nothing."""
    wanted = {
        test
        for path in _modules("policy", "gateway", "federation")
        for test in _test_files_for(path)
    }
    orphans = [
        _name(path)
        for folder in ("policy", "gateway", "federation")
        for path in _modules(f"tests/unit/{folder}")
        if path.name.startswith("test_") and path not in wanted
    ]
    # A module with much to promise may have several files: test_<module>_<subject>.py.
    stems = {path.stem for path in wanted}
    lost = [name for name in orphans if not any(Path(name).stem.startswith(s + "_") for s in stems)]
    assert not lost


def test_no_test_sleeps() -> None:
    """Too short on a busy machine, too long on every other. `sleep(0)` waits for nothing."""
    sleepy = [
        f"{_name(path)}:{node.lineno}"
        for path, node in _tests_with("sleep")
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Attribute) and node.func.attr == "sleep")
            or (isinstance(node.func, ast.Name) and node.func.id == "sleep")
        )
        and not (
            len(node.args) == 1
            and isinstance(node.args[0], ast.Constant)
            and node.args[0].value == 0
        )
    ]
    assert not sleepy


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    """A test that does not run proves nothing and looks as if it did."""
    marks = {"skip", "skipif", "xfail", "importorskip"}
    found = [
        f"{_name(path)}:{node.lineno}"
        for path, node in _tests_with(*marks)
        if isinstance(node, ast.Attribute)
        and node.attr in marks
        and ast.unparse(node.value) in {"pytest", "pytest.mark"}
    ]
    assert not found


def test_nothing_is_left_for_later() -> None:
    """What is not there is said in an issue, where somebody looks for it."""
    marks = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "raise NotImplemented" + "Error")))
    found = [_name(path) for path in _modules(*FOLDERS) if marks.search(path.read_text("utf-8"))]
    assert not found


def test_pure_modules_import_no_loop_no_wire_no_clock_and_no_chance() -> None:
    """A recorded negotiation replays to the same bytes only if nothing else had a say."""
    pure = [path for path in _modules("policy") if path.stem not in IMPURE_POLICY]
    pure += [
        path
        for folder, names in PURE.items()
        for path in _modules(folder)
        if path.stem in names and path.parent == ROOT / folder
    ]
    found = {_name(path): bad for path in pure if (bad := sorted(_imported(_tree(path)) & IMPURE))}
    assert not found


def test_pure_modules_are_under_the_import_contract_too() -> None:
    """The linter sees imports through imports; it has to know every pure module there is."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    contract = next(one for one in contracts if one["name"].startswith("Pure modules"))
    listed = set(contract["source_modules"])
    there = {
        f"{folder.removeprefix('client/').replace('/', '.')}.{name}"
        for folder, names in PURE.items()
        for name in names
        if (ROOT / folder / f"{name}.py").is_file()
    }
    assert "policy.*" in listed
    assert there <= listed


def test_no_file_names_a_path_of_one_machine() -> None:
    """It works there and nowhere else, and tells strangers what the machine looks like."""
    names = "|".join(("work", "root", r"home/\w+", r"Users/\w+"))
    path_of_a_machine = re.compile(rf"(?<![\w./-])/(?:{names})/")
    found = [
        _name(path)
        for path in _text_files()
        if path_of_a_machine.search(path.read_text("utf-8", errors="replace"))
    ]
    assert not found


def test_requirements_are_pinned_and_say_nothing_of_where_they_came_from() -> None:
    """Who installs chooses the index; the versions are ours."""
    pin = re.compile(r"^[a-z0-9._-]+==[\w.!+]+( ; .+)?$")
    for name in ("run", "traces", "dev", "negmas", "bench", "load", "profile"):
        lines = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines()
        loose = [line for line in lines if not pin.match(line)]
        assert lines, name
        assert not loose, name


def test_run_and_dev_agree_on_every_version() -> None:
    """Both go into one environment, one after the other."""
    run, dev = (
        set((ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines())
        for name in ("run", "dev")
    )
    assert run <= dev


def test_what_the_packages_need_is_what_is_pinned() -> None:
    """A library that is imported and not pinned is another one on every machine."""
    pinned = {
        line.split("==")[0]
        for line in (ROOT / "requirements" / "run.txt").read_text("utf-8").splitlines()
    }
    for file in ("pyproject.toml", "client/pyproject.toml"):
        project = tomllib.loads((ROOT / file).read_text("utf-8"))["project"]
        needed = {re.split(r"[\s=<>;~!\[]", need)[0] for need in project["dependencies"]}
        assert needed - {"llmx"} <= pinned, file


def test_what_an_extra_needs_is_pinned_in_a_file_of_its_own() -> None:
    """Who switches something on that is optional gets what was tested with it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for extra, needs in project["optional-dependencies"].items():
        lines = (ROOT / "requirements" / f"{extra}.txt").read_text("utf-8").splitlines()
        pinned = {line.split("==")[0] for line in lines}
        assert {re.split(r"[\s=<>;~!\[]", need)[0] for need in needs} <= pinned, extra


def test_the_folder_of_the_protos_is_no_package() -> None:
    """`proto` is the import name of a library of Google's, which we would hide."""
    assert not (ROOT / "proto" / "__init__.py").exists()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_explains_itself(folder: str) -> None:
    """One screen: what it is for, its invariants, what was decided and why."""
    text = (ROOT / folder / "README.md").read_text("utf-8")
    assert "Decisions" in text
    assert len(text.splitlines()) <= 100


@pytest.mark.parametrize("package", ["gateway", "federation", "policy", "loadtest", "client/llmx"])
def test_every_package_says_that_it_is_typed(package: str) -> None:
    """Without the marker a type checker ignores all our annotations."""
    assert (ROOT / package / "py.typed").is_file()
