"""Say where the gateway's time goes while it plays rounds.

With py-spy (`make profile` installs it) the running gateway is sampled from outside, which costs it
little: `gateway.txt` lists the functions by their own time, `gateway.svg` is a flame graph. Where
there is no py-spy, or the system does not let it look, the gateway is run under cProfile instead:
`gateway.txt` is then its list, in which many cheap calls look dearer than they are.
"""

from __future__ import annotations

import asyncio
import io
import pstats
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from loadtest.comparison import play
from loadtest.figures import Figures
from loadtest.rounds import Case
from loadtest.servers import Server, ServerCommand
from loadtest.targets import Target

SAMPLES_PER_SECOND = 400
ENTRIES_SHOWN = 60
SPY_SECONDS_MAX = 60.0
SUMMARY = "gateway.md"
MOST_SHOWN = 3
ELSEWHERE = "the event loop, and grpc in its own threads"

AREAS: dict[str, tuple[str, ...]] = {
    "streams: reading frames, and writing them through grpc": (
        "gateway/session.py",
        "gateway/link.py",
        "gateway/exchange.py",
    ),
    "admission: envelope, JSON, schema, rate, duplicate": (
        "gateway/admission",
        "gateway/headers.py",
        "gateway/envelope_head.py",
        "gateway/strict_json.py",
        "gateway/validation.py",
        "gateway/schemas.py",
        "gateway/allowances.py",
        "gateway/quota.py",
        "gateway/duplicates.py",
        "gateway/calls.py",
    ),
    "records, log, metrics, fairness": (
        "gateway/records.py",
        "gateway/record_format.py",
        "gateway/logs.py",
        "gateway/metrics.py",
        "gateway/governance.py",
        "gateway/telemetry/",
    ),
    "the policy engine": ("policy/",),
    "carrying out: verdicts, relays, outboxes": ("gateway/", "federation/"),
}
"""Parts of the gateway by where their modules are; the first that fits."""
ALWAYS_BENEATH = ("gateway/cli", "gateway/commands/", "gateway/app.py")
"""What every stack begins with: who runs the loop is not what the loop runs."""


def spy_program() -> str | None:
    """Return where py-spy is, None when it is not installed."""
    beside = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    return beside or shutil.which("py-spy")


async def profile(
    target: Target, case: Case, folder: Path, server_core: int | None
) -> tuple[Figures, list[Path]]:
    """Play a case and write what the server did into a folder, which exists.

    Returns the figures, which are those of a gateway that is being watched, and the files.
    Raises RoundsFailed, ServerFailed.
    """
    log = folder / "gateway.log"
    spy = spy_program()
    if spy is not None:
        with Server(target.command, server_core, log) as server:
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(_spy(spy, server.pid, case, folder))
                figures = await play(target, server, case)
            if files := watching.result():
                return figures, files
    recorded = folder / "gateway.prof"
    with Server(_under_cprofile(target.command, recorded), server_core, log) as server:
        figures = await play(target, server, case)
    return figures, [_as_text(recorded, folder / "gateway.txt"), recorded]


async def _spy(spy: str, pid: int, case: Case, folder: Path) -> list[Path]:
    """Sample for the two halves of the window: stacks for the list, then the flame graph."""
    seconds = max(int(case.seconds / 2), 1)
    await asyncio.sleep(case.warm_up_seconds)
    raw, flames = folder / "gateway.raw", folder / "gateway.svg"
    for kind, out in (("raw", raw), ("flamegraph", flames)):
        process = await asyncio.create_subprocess_exec(
            *(spy, "record", "--pid", str(pid), "--nonblocking", "--rate", str(SAMPLES_PER_SECOND)),
            *("--duration", str(seconds), "--format", kind, "--output", str(out)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(seconds + SPY_SECONDS_MAX):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            code = await process.wait()
        if code != 0 or not out.exists():
            return []
    text, summary = folder / "gateway.txt", folder / SUMMARY
    stacks = raw.read_text().splitlines()
    text.write_text(own_time_table(stacks))
    summary.write_text(area_table(stacks))
    raw.unlink()
    return [text, summary, flames]


def own_time_table(stacks: Iterable[str]) -> str:
    """Return functions, then lines, by their own share of the samples.

    A stack reads "outer (file:line);…;inner (file:line) count".
    """
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    by_line: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit():
            continue
        frames = stack.split(";")
        by_line[frames[-1]] += int(count)
        own[_without_line(frames[-1])] += int(count)
        for name in {_without_line(frame) for frame in frames}:
            within[name] += int(count)
    samples = own.total()
    shown = [f"{samples} samples", "", "    own  within  function"]
    shown += [
        f"{count / samples:7.1%} {within[name] / samples:7.1%}  {name}"
        for name, count in own.most_common(ENTRIES_SHOWN)
    ]
    shown += ["", "    own  line"]
    shown += [
        f"{count / samples:7.1%}  {name}" for name, count in by_line.most_common(ENTRIES_SHOWN)
    ]
    return "\n".join(shown) + "\n"


def area_table(stacks: Iterable[str]) -> str:
    """Return which parts of the gateway the samples fell into, as Markdown, the most first.

    A sample belongs to the innermost function of ours; what runs beneath, as C or as somebody
    else's Python, is that function's. One without any is of the loop and of grpc's threads.
    """
    counts: Counter[str] = Counter()
    functions: dict[str, Counter[str]] = {}
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit():
            continue
        area, function = _area_of(stack.split(";"))
        counts[area] += int(count)
        functions.setdefault(area, Counter())[function] += int(count)
    rows = ["| part | share | most of it in |", "|---|---|---|"]
    for area, samples in counts.most_common():
        most = ", ".join(f"`{name}`" for name, _ in functions[area].most_common(MOST_SHOWN) if name)
        rows.append(f"| {area} | {samples / counts.total():.0%} | {most} |")
    return "\n".join(rows)


def _area_of(frames: list[str]) -> tuple[str, str]:
    """Return the part that a stack is charged to, and the function of ours that it is in."""
    for frame in reversed(frames):
        name, _, place = frame.rpartition(" (")
        path = place.partition(":")[0]
        if path.startswith(ALWAYS_BENEATH):
            break
        for area, places in AREAS.items():
            if path.startswith(places):
                return area, name
    return ELSEWHERE, ""


def _without_line(frame: str) -> str:
    """Turn "take (gateway/outbox.py:88)" into "take (gateway/outbox.py)"."""
    head, colon, tail = frame.rpartition(":")
    return f"{head})" if colon and tail.rstrip(")").isdigit() else frame


def _under_cprofile(command: ServerCommand, recorded: Path) -> ServerCommand:
    return replace(command, arguments=["-m", "cProfile", "-o", str(recorded), *command.arguments])


def _as_text(recorded: Path, text: Path) -> Path:
    listed = io.StringIO()
    stats = pstats.Stats(str(recorded), stream=listed)
    stats.sort_stats("tottime").print_stats(ENTRIES_SHOWN)
    text.write_text(listed.getvalue())
    return text
