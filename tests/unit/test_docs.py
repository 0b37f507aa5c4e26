"""The pages say what is there: links, commands, codes, metrics, settings, profiles, samples."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grpc
import pytest
import typer.core
import typer.main

import llmx
from gateway import cli, shipped_schemas
from gateway.acts import ACTS
from gateway.metrics import Metrics
from gateway.paper_form import from_json
from gateway.refusals import CODES
from gateway.schemas import SchemaRegistry
from gateway.settings import load_settings, setting_fields
from llmx.v1.envelope_pb2 import ACT_CFP, Act
from policy.acceptance import PROFILES, Acceptance

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("*/README.md")),
]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def _samples(language: str) -> list[tuple[str, str]]:
    """Return every fenced block of a language, with where it stands."""
    return [
        (f"{_name(page)}, block {number}", match[2])
        for page in PAGES
        for number, match in enumerate(FENCED.finditer(page.read_text("utf-8")))
        if match[1] == language
    ]


def _shown() -> Iterator[tuple[str, str]]:
    """Yield every line that is shown as a command, and every `code` in a sentence."""
    for page in PAGES:
        text = FENCED.sub("", page.read_text("utf-8"))
        for line in text.splitlines():
            if line.startswith("    "):
                yield _name(page), line.split("  #")[0].strip()
            else:
                yield from ((_name(page), code) for code in re.findall(r"`([^`]+)`", line))


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file of the repository and, behind a #, to a title on that page."""
    broken = []
    for target in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in _anchors(there)):
            broken.append(target)
    assert not broken


def test_every_page_can_be_reached_from_the_readme() -> None:
    """A page that nothing leads to is read by nobody."""
    wanted = {path for path in PAGES if path.parent.name == "docs"}
    targets = [target.partition("#")[0] for target in LINK.findall(_page("README.md"))]
    reached = {(ROOT / target).resolve() for target in targets}
    assert wanted <= reached


def test_every_refusal_code_is_explained_once_and_no_other() -> None:
    section = _page("docs/messages.md").split("## Refusals")[1]
    rows = re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(CODES.keys() - {"UNSPECIFIED"})


def test_every_code_that_a_page_names_exists() -> None:
    """What stands in backticks and capitals is a code, an act, a status, or one of a few words."""
    others = {"DECIDED", "CFP", "NOT_SERVING", "SERVING"}
    known = CODES.keys() | set(Act.keys()) | {code.name for code in grpc.StatusCode} | others
    named = {text for _, text in _shown() if re.fullmatch(r"[A-Z]{2}[A-Z_]+", text)}
    assert {name for name in named if not name.startswith("LLMX_")} <= known


def test_every_act_is_explained_and_no_other() -> None:
    section = _page("docs/messages.md").split("## Acts")[1].split("###")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(ACTS)


def test_every_metric_is_explained_and_no_other() -> None:
    named = set(re.findall(r"`(llmx_[a-z_]+)", _page("docs/operations.md")))
    counted = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in Metrics().collect()
    }
    added = "".join(
        (ROOT / "gateway" / name).read_text("utf-8")
        for name in ("app_figures.py", "cluster_figures.py", "settling/figures.py")
    )
    gauges = set(re.findall(r'"(llmx_\w+)": \(', added))
    assert gauges, "they add gauges"
    assert named == counted | gauges


def test_every_setting_that_a_page_names_exists() -> None:
    groups = {group for group, _, _ in setting_fields()}
    known = {f"{group}.{name}" for group, name, _ in setting_fields()}
    dotted = re.compile(rf"^(?:--set )?((?:{'|'.join(groups)})\.[a-z_]+)(?:[ =].*)?$")
    named = {match[1] for _, text in _shown() if (match := dotted.match(text))}
    assert named, "the pages name settings"
    assert {name for name in named if not name.endswith(".py")} <= known


def test_every_limit_is_named_where_it_is_told_what_happens_at_it() -> None:
    section = _page("docs/operations.md").split("## What happens at each bound")[1]
    limits = {f"limits.{name}" for group, name, _ in setting_fields() if group == "limits"}
    limits.discard("limits.ttl_default")  # no bound
    assert limits <= set(re.findall(r"`(limits\.[a-z_]+)`", section))


def _row(profile: Acceptance) -> str:
    quorum = profile.quorum
    cells = (
        f"`{profile.name}`",
        "all" if quorum.all else f"{quorum.fraction or quorum.count:g}",
        "deadline" if profile.window is None else f"{profile.window:g} s",
        profile.counts,
        profile.select,
        profile.on_expiry + (f" {profile.min_offers}" if profile.min_offers else ""),
        profile.final,
        "yes" if profile.confirm else "no",
        profile.late,
    )
    return f"| {' | '.join(cells)} |"


def test_the_table_of_profiles_is_what_ships() -> None:
    section = _page("docs/policies.md").split("## The profiles that ship")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    shipped = {profile.name: profile for profile in PROFILES.values()}
    assert rows == [_row(profile) for profile in shipped.values()]
    assert not any(profile.settle for profile in shipped.values()), "the page says so"


def test_every_make_target_that_a_page_shows_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    shown = {
        (where, target)
        for where, text in _shown()
        for target in re.findall(r"(?:^|\s)make ([a-z-]+)", text)
    }
    assert shown, "the pages show make"
    assert {(where, target) for where, target in shown if target not in targets} == set()


@cache
def _llmx() -> typer.core.TyperCommand | typer.core.TyperGroup:
    return typer.main.get_command(cli.app)


def _command(
    words: list[str],
) -> tuple[typer.core.TyperCommand | typer.core.TyperGroup, list[str]]:
    """Return the command that the words name, with what is left of them."""
    command = _llmx()
    while isinstance(command, typer.core.TyperGroup):
        if not words and command.invoke_without_command:
            break
        assert words, f"{command.name} needs a command"
        found = command.get_command(typer.Context(command), words[0])
        assert found is not None, f"there is no command {words[0]}"
        command, words = found, words[1:]
    assert isinstance(command, typer.core.TyperCommand | typer.core.TyperGroup)
    return command, words


def _llmx_lines() -> list[tuple[str, str]]:
    return [
        (where, match[1].strip())
        for where, text in _shown()
        for match in re.finditer(r"(?:^|[\s(/])llmx ([a-z][^)&|]*)", text)
    ]


@pytest.mark.parametrize(("where", "line"), _llmx_lines())
def test_every_llmx_command_that_a_page_shows_is_one(where: str, line: str) -> None:
    command, rest = _command(shlex.split(line))
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    unknown = [word for word in rest if re.match(r"--?[a-z]", word) and word not in known]
    assert not unknown, where


def test_the_pages_show_every_command() -> None:
    shown = {line.split()[0] for _, line in _llmx_lines()}
    group = _llmx()
    assert isinstance(group, typer.core.TyperGroup)
    assert set(group.list_commands(typer.Context(group))) <= shown


@pytest.mark.parametrize(("where", "text"), _samples("python"))
def test_every_python_sample_parses_and_names_what_llmx_has(where: str, text: str) -> None:
    """That they run was seen; that they still can is held here."""
    tree = ast.parse(text, where)
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "llmx"
    }
    assert used - {"strategies"} <= set(llmx.__all__), where
    hooks = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.name.startswith("on_")
    }
    assert hooks <= set(dir(llmx.Agent)), where


def test_the_agent_of_the_readme_has_ten_lines() -> None:
    text = next(text for where, text in _samples("python") if where.startswith("README.md"))
    assert len([line for line in text.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize(("where", "text"), _samples("json"))
def test_every_json_sample_is_accepted(where: str, text: str) -> None:
    """As a message in the JSON form, or as the payload of a call."""
    value = json.loads(text)
    payload = value
    if "envelope" in value:
        assert from_json(value).act == ACT_CFP
        payload = value["payload"]
    judge = SchemaRegistry().judge(payload["$schema"], ACT_CFP)
    assert judge is not None, where
    assert judge(payload), where


@pytest.mark.parametrize(("where", "text"), _samples("toml"))
def test_every_toml_sample_is_a_settings_file(where: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(text, "utf-8")
    given = tomllib.loads(text)
    taken = load_settings(file).model_dump()
    assert all(set(members) <= taken[group].keys() for group, members in given.items()), where


def test_every_shipped_schema_is_named() -> None:
    page = _page("docs/messages.md")
    assert all(f"`{name}.json`" in page for name in shipped_schemas.ACTS_OF)
