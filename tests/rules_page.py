"""`python -m tests.rules_page`: docs/rules.md, which rule is proved by which tests.

The rules are in `rules.toml`. A test names the one it proves at the start of its docstring,
`N-3.1: ...`, or several: `N-1.3, N-1.11: ...`. Nothing is imported, only read.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NUMBER = r"N-\d+\.\d+"
START = re.compile(rf"({NUMBER}(?:, {NUMBER})*)(?:: |:$|\.?$)")

INTRODUCTION = """\
# The rules of negotiation

What holds in every negotiation, and the tests that prove it. `make docs` writes this page from
[tests/rules.toml](../tests/rules.toml) and the docstrings of the tests.
"""


class RulesError(Exception):
    """The rules and the tests do not fit together; says all that is wrong."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A test, or a machine of tests."""

    path: str
    """From the root of the repository."""
    name: str

    @property
    def words(self) -> str:
        """Return its name as a sentence."""
        return self.name.removeprefix("test_").replace("_", " ")


def proofs_in(text: str, path: str) -> Iterator[tuple[str, Proof]]:
    """Yield each rule that a file of tests names, with the test. Raises RulesError."""
    for node in ast.walk(ast.parse(text, path)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        said = (ast.get_docstring(node) or "").split("\n")[0]
        is_test = node.name.startswith("test_") or isinstance(node, ast.ClassDef)
        if not is_test or not re.match(NUMBER, said):
            continue
        named = START.match(said)
        if named is None:
            raise RulesError(f'{path}:{node.lineno}: write """{said.split()[0]}: ..."""')
        for rule in named[1].split(", "):
            yield rule, Proof(path, node.name)


def all_proofs(folder: Path = ROOT / "tests") -> Iterator[tuple[str, Proof]]:
    """Yield each rule that a test names, with the test. Raises RulesError."""
    for path in sorted(folder.rglob("*.py")):
        if "N-" in (text := path.read_text("utf-8")):
            yield from proofs_in(text, path.relative_to(folder.parent).as_posix())


def rules_page(rules: dict[str, Any], proofs: Iterator[tuple[str, Proof]]) -> str:
    """Return the page. Raises RulesError when a rule has no test, or a test no rule."""
    waiting = set(rules["waiting"])
    chapters = {name: part for name, part in rules.items() if name != "waiting"}
    known = {
        f"{name}.{number}"
        for name, part in chapters.items()
        for number in part
        if number != "title"
    }
    tests: dict[str, list[Proof]] = {}
    for rule, proof in proofs:
        tests.setdefault(rule, []).append(proof)
    wrong = [
        f"{rule} is no rule, see {tests[rule][0].path}" for rule in sorted(tests.keys() - known)
    ]
    wrong += [f"{rule} has no test" for rule in sorted(known - tests.keys() - waiting)]
    wrong += [
        f"{rule} does not wait for a test any more" for rule in sorted(waiting & tests.keys())
    ]
    if wrong:
        raise RulesError("; ".join(wrong))
    lines = [INTRODUCTION]
    for name, part in chapters.items():
        lines += [
            f"## {name} {part['title']}",
            "",
            "| rule | what holds | tests |",
            "|---|---|---|",
        ]
        for number, sentence in part.items():
            if number != "title":
                rule = f"{name}.{number}"
                lines.append(f"| {rule} | {sentence} | {_links(tests.get(rule, []))} |")
        lines.append("")
    return "\n".join(lines)


def _links(proofs: list[Proof]) -> str:
    return "<br>".join(f"[{proof.words}](../{proof.path})" for proof in proofs) or "none yet"


def rules() -> dict[str, Any]:
    """Return the rules of this repository."""
    return tomllib.loads((ROOT / "tests" / "rules.toml").read_text("utf-8"))


def main() -> int:
    """Print the page; the exit code is 1 when rules and tests do not fit together."""
    try:
        sys.stdout.write(rules_page(rules(), all_proofs()))
    except RulesError as error:
        sys.stderr.write(str(error).replace("; ", "\n") + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
