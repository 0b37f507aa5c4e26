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
    text = folder / "gateway.txt"
    text.write_text(own_time_table(raw.read_text().splitlines()))
    raw.unlink()
    return [text, flames]


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
