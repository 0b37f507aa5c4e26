"""Mistakes that somebody could make in the links between gateways, to see that they are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from federation.link import Heard, Link
from federation.mesh import Mesh
from federation.neighbour import Neighbour
from federation.way import Way
from llmx.wire.v1.peer_frame_pb2 import PeerFrameBytes


@dataclass(frozen=True, slots=True)
class Mistake:
    """A method of a part, done wrong."""

    part: type[Any]
    method: str
    wrong: Callable[..., Any]

    def __str__(self) -> str:
        return self.wrong.__name__.strip("_")


_hear, _meet, _begin, _opened = Link.hear, Neighbour.meet, Neighbour.begin, Neighbour.opened
_take, _hand_back, _word = Mesh._take, Link.hand_back, Neighbour.word


def _handles_repeats(link: Link, number: int) -> Heard:
    heard = _hear(link, number)
    return Heard.NEXT if heard is Heard.REPEAT else heard


def _sees_no_gaps(link: Link, number: int) -> Heard:
    if number > link.accepted:
        link.accepted = number
        return Heard.NEXT
    return Heard.REPEAT


def _trusts_relays_when_a_stream_opens(neighbour: Neighbour, way: Way, now: float) -> None:
    link, neighbour.link = neighbour.link, None
    _opened(neighbour, way, now)
    neighbour.link = link


def _asks_for_no_epoch(mesh: Mesh, neighbour: Neighbour, frame: PeerFrameBytes) -> Neighbour | None:
    link = neighbour.link
    if link is not None:
        frame.epoch, frame.receiver_epoch = link.peer_epoch, link.own_epoch
    return _take(mesh, neighbour, frame)


def _hands_back_only_what_waits(link: Link) -> list[bytes]:
    sent = sum(len(frame.messages) for frame in link._unconfirmed)
    return _hand_back(link)[sent:]


def _leaves_gaps_where_messages_came_back(link: Link) -> list[bytes]:
    messages = _hand_back(link)
    link._unconfirmed.clear()
    return messages


def _keeps_what_it_accepted_and_drops(_link: Link, _kept: int) -> None:
    pass


def _confirms_what_is_not_handled(neighbour: Neighbour) -> PeerFrameBytes:
    word = _word(neighbour)
    if neighbour.link is not None:
        word.confirmed_number = neighbour.link.accepted
    return word


def _confirms_only_on_frames(_mesh: Mesh, _neighbour: Neighbour) -> None:
    pass


def _never_retries(_neighbour: Neighbour, _now: float) -> None:
    pass


def _keeps_the_link_under_a_new_epoch(neighbour: Neighbour, epoch: int, own_epoch: int) -> None:
    link = neighbour.link
    if link is not None and epoch > neighbour.epoch:
        neighbour.epoch = link.peer_epoch = epoch
    else:
        _meet(neighbour, epoch, own_epoch)


def _believes_old_epochs(neighbour: Neighbour, epoch: int, own_epoch: int) -> None:
    if epoch and epoch < neighbour.epoch:
        neighbour.epoch = 0
    _meet(neighbour, epoch, own_epoch)


def _keeps_the_inbox_of_an_older_epoch(neighbour: Neighbour, own_epoch: int) -> None:
    kept = list(neighbour.inbox)
    _begin(neighbour, own_epoch)
    neighbour.inbox.extend(kept)


def _tells_nobody_that_a_link_ended(neighbour: Neighbour, own_epoch: int) -> None:
    neighbour.link = None
    _begin(neighbour, own_epoch)


MISTAKES = [
    Mistake(Link, "hear", _handles_repeats),
    Mistake(Link, "hear", _sees_no_gaps),
    Mistake(Link, "hand_back", _hands_back_only_what_waits),
    Mistake(Link, "hand_back", _leaves_gaps_where_messages_came_back),
    Mistake(Link, "forget_accepted", _keeps_what_it_accepted_and_drops),
    Mistake(Neighbour, "opened", _trusts_relays_when_a_stream_opens),
    Mistake(Neighbour, "word", _confirms_what_is_not_handled),
    Mistake(Neighbour, "retry", _never_retries),
    Mistake(Neighbour, "meet", _keeps_the_link_under_a_new_epoch),
    Mistake(Neighbour, "meet", _believes_old_epochs),
    Mistake(Neighbour, "begin", _keeps_the_inbox_of_an_older_epoch),
    Mistake(Neighbour, "begin", _tells_nobody_that_a_link_ended),
    Mistake(Mesh, "_take", _asks_for_no_epoch),
    Mistake(Mesh, "_owe_word", _confirms_only_on_frames),
]
