"""The same games over gateways: two agents of the library, each on a gateway of its own.

Nothing but what is said crosses: an offer with its terms, an accept, an end. A `Voice` is a
strategy of the library that asks a player of `games` what to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import llmx
from llmx.bargain import Accept, Bargain, End, Propose
from loadtest.clusters import Cluster
from loadtest.interop.games import (
    Game,
    Move,
    Player,
    Result,
    Script,
    outcome_of,
    result_of,
    rules,
    terms_of,
)

AGENTS = ("agent://one", "agent://two")
AT_ONCE = 4
"""How many games are played side by side."""
GAME_SECONDS = 60.0

Cast = tuple[Player, Player]
"""Who plays: the one that begins, and the other."""


@dataclass(frozen=True, slots=True)
class Played:
    """A game as both agents have seen it."""

    called: Result
    """What the gateway told who called."""
    answered: Result
    terms_sha256: tuple[str, str]
    """What each was told of the terms agreed on, "" for none."""


class Voice:
    """Makes a player's moves in a bargain of the library, and lets it hear the other's."""

    def __init__(self, player: Player) -> None:
        """Speak for a player."""
        self._player = player
        self._heard = ""
        self._last_said: Move | None = None

    def __call__(self, bargain: Bargain) -> llmx.Move:
        """Hear what the other proposed, and move."""
        standing = bargain.standing
        if standing is not None and standing.offer_id != self._heard:
            self._heard = standing.offer_id
            self._player.hear(Move("offer", outcome_of(standing.terms)))
        move = self._player.move()
        self._last_said = move
        if move.act == "accept":
            return Accept()
        if move.act == "end" or move.outcome is None:
            return End()
        return Propose(terms=terms_of(move.outcome))

    def finish(self, bargain: Bargain) -> None:
        """Let the player hear how the other ended it, if it was the other."""
        outcome, said = bargain.outcome, self._last_said
        assert outcome is not None, "the turns end with the outcome"
        own = said is not None and said.act != "offer"
        if outcome.agreement is not None and not own:
            self._player.hear(Move("accept", outcome_of(outcome.agreement.terms)))
        elif outcome.ended_by == "end" and not own:
            self._player.hear(Move("end"))


def scripts_of(game: Game) -> Cast:
    """Return players that say what was said inside NegMAS, and expect to hear it."""
    return Script(game, begins=True), Script(game, begins=False)


async def over_gateways(
    cluster: Cluster, games: Sequence[Game], cast_of: Callable[[Game], Cast]
) -> list[Played]:
    """Play games between the first gateway and the last; the results in the same order."""
    casts = [cast_of(game) for game in games]
    seen: dict[int, Bargain] = {}
    over = [asyncio.Event() for _ in games]
    one, two = (
        llmx.Agent(name, address, token=cluster.token_of(name), consents=["*"])
        for name, address in zip(AGENTS, (cluster.addresses[0], cluster.addresses[-1]), strict=True)
    )

    @two.on_bargain
    async def answer(bargain: Bargain) -> None:
        number = int(bargain.call.body["task"]["game"])
        voice = Voice(casts[number][1])
        await bargain.play(voice)
        voice.finish(bargain)
        seen[number] = bargain
        over[number].set()

    room = asyncio.Semaphore(AT_ONCE)

    async def play(number: int) -> Played:
        cfp = {"task": {"game": number}, "bargaining": rules(), "reply_within": GAME_SECONDS}
        async with room, one.bargain(cfp, to=two.agent_id) as bargain:
            voice = Voice(casts[number][0])
            await bargain.play(voice)
            voice.finish(bargain)
            async with asyncio.timeout(GAME_SECONDS):
                await over[number].wait()
        return _played(bargain, seen[number])

    async with two, one:
        await cluster.told()
        async with asyncio.TaskGroup() as tasks:
            playing = [tasks.create_task(play(number)) for number in range(len(games))]
    return [task.result() for task in playing]


def _played(called: Bargain, answered: Bargain) -> Played:
    assert called.outcome is not None and answered.outcome is not None
    one, two = called.outcome, answered.outcome
    turns = int(one.body["round"])
    return Played(
        result_of(one.body, turns),
        result_of(two.body, turns),
        (
            "" if one.agreement is None else one.agreement.terms_sha256,
            "" if two.agreement is None else two.agreement.terms_sha256,
        ),
    )
