"""Credit ratings that are kept: of each agent one text, changed as if nobody else did.

The text has the rating and the latest tasks that it is made of, so that a task counts once,
whoever repeats it, at whichever gateway, in whatever life. Beyond `TASKS_REMEMBERED` newer tasks of
the same agent a repeat would count again; reports are guarded against that by marks of their own,
which last as long as a claim.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b

import msgspec
import structlog

from gateway.governing.keeping import Keeper, KeepError
from policy.rating import Rating, RatingRule, rated

RATING, MARK = "rating/", "reported/"
TASKS_REMEMBERED = 256
MARKS_MAX = 100_000
"""Tasks that are known to be rated; of more, the oldest are looked for in the agent's text only."""
DIGEST_BYTES = 8

log = structlog.get_logger("llmx.governing")


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """The text of one agent."""

    tenant: str
    agent: str
    rating: Rating
    tasks: tuple[bytes, ...] = ()
    """The latest tasks, as digests of their names, the newest last."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


class KeptRatings:
    """The ratings of all agents, kept by a keeper."""

    def __init__(
        self, keeper: Keeper, rule: RatingRule, know: Callable[[str, str, Rating], None]
    ) -> None:
        """Let `know` hear every rating: tenant, agent, and what it is now."""
        self._keeper = keeper
        self._rule = rule
        self._know = know
        self._marks: dict[str, float] = {}

    def __len__(self) -> int:
        """Return how many tasks are marked as rated."""
        return len(self._marks)

    def hear(self, name: str, text: bytes | None) -> None:
        """Hear of a text that stands, or is gone."""
        if name.startswith(MARK):
            self._hear_mark(name, text)
        if not name.startswith(RATING) or text is None:
            return
        try:
            kept = _kept_in(text)
        except KeepError as error:
            log.warning("a rating cannot be read", key=name, error=str(error))
            return
        self._know(kept.tenant, kept.agent, kept.rating)

    def _hear_mark(self, name: str, text: bytes | None) -> None:
        if text is None:
            self._marks.pop(name, None)
            return
        with suppress(ValueError):  # nobody has written it but a gateway
            self._marks[name] = float(text)

    def is_rated(self, task: str) -> bool:
        """Tell whether a task is known to be rated."""
        return MARK + task in self._marks

    async def rate(
        self, tenant: str, agent: str, claimed: float, realised: float, task: str
    ) -> bool:
        """Rate a task of an agent; False when it was rated before. Raises KeepError."""
        digest = blake2b(task.encode(), digest_size=DIGEST_BYTES).digest()
        is_first = True

        def edit(text: bytes | None) -> bytes | None:
            nonlocal is_first
            before = None if text is None else _kept_in(text)
            tasks = () if before is None else before.tasks
            is_first = digest not in tasks
            if not is_first:
                return None
            fresh = Rating(self._rule.start, 0, 0.0, 0.0)
            rating = fresh if before is None else before.rating
            after = rated(rating, claimed, realised, self._rule)
            kept = (*tasks, digest)[-TASKS_REMEMBERED:]
            return _encode(_Kept(tenant, agent, after, kept))

        await self._keeper.change(f"{RATING}{tenant}/{agent}", edit)
        return is_first

    async def mark(self, task: str, now: float) -> None:
        """Remember that a task was rated, for as long as it could be reported.

        When that cannot be kept now, the text of the agent remembers it still.
        """
        try:
            await self._keeper.put(MARK + task, repr(now).encode())
        except KeepError as error:
            log.warning("a rated task cannot be marked", error=str(error))

    async def forget(self, before: float, at_most: int) -> None:
        """Take away marks from before a time, or beyond what is remembered. Raises KeepError."""
        surplus = len(self._marks) - MARKS_MAX
        old: list[str] = []
        for name, at in self._marks.items():
            if len(old) == at_most:
                break
            if at < before or surplus > len(old):
                old.append(name)
        for name in old:
            await self._keeper.remove(name)
            self._marks.pop(name, None)


def _kept_in(text: bytes) -> _Kept:
    """Return what stands in the text of an agent. Raises KeepError when it cannot be read."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise KeepError(f"what stands there cannot be read: {error}") from error
