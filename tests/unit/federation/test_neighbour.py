"""What is remembered of one other gateway; test_mesh plays it."""

from __future__ import annotations

from federation.link import LinkLimits
from federation.neighbour import RETRY_FIRST_SECONDS, RETRY_MOST_SECONDS, Neighbour, News


def met() -> tuple[Neighbour, list[str]]:
    told: list[str] = []
    news = News(
        lambda gateway_id: told.append(f"begun {gateway_id}"),
        lambda gateway_id, messages: told.append(f"ended {gateway_id} {messages}"),
    )
    neighbour = Neighbour("us", LinkLimits(frame_messages_max=1), news, 0.0)
    neighbour.meet(1, 1)
    assert neighbour.link is not None
    return neighbour, told


def test_while_a_link_ends_there_is_none_and_when_it_has_begun_there_is() -> None:
    """So what is sent as it begins is the first that goes."""
    seen: list[bool] = []
    news = News(
        lambda _: seen.append(neighbour.link is not None),
        lambda _, __: seen.append(neighbour.link is not None),
    )
    neighbour = Neighbour("us", LinkLimits(), news, 0.0)
    neighbour.meet(1, 1)
    neighbour.meet(2, 1)
    assert seen == [True, False, True]


def test_what_stays_unconfirmed_on_relays_goes_again_later_each_time() -> None:
    neighbour, _ = met()
    link = neighbour.link
    assert link is not None
    link.push(b"x")
    now, waits = 0.0, []
    for _ in range(6):
        assert link.take() is not None
        neighbour.relayed(now)
        waits.append(neighbour.retry_at - now)
        neighbour.retry(now)
        assert not link.has_due, "it is not time yet"
        now = neighbour.retry_at
        neighbour.retry(now)
        assert link.has_due
    assert waits[0] == RETRY_FIRST_SECONDS
    assert waits[-1] == RETRY_MOST_SECONDS
    assert waits == sorted(waits)
    assert neighbour.attempts == 6
    neighbour.progressed()
    assert neighbour.attempts == 0


def test_a_word_without_a_link_only_says_that_we_are_here() -> None:
    neighbour = Neighbour("us", LinkLimits(), News(lambda _: None, lambda _, __: None), 0.0)
    word = neighbour.word()
    assert (word.number, word.epoch, word.receiver_epoch) == (0, 0, 0)
    assert neighbour.next_frame() is None


def test_a_neighbour_tells_its_state_in_words_and_since_when() -> None:
    neighbour, told = met()
    assert told == ["begun us"]
    assert repr(neighbour).startswith("<Neighbour us, epoch 1: down, <Link 1 to 1:")
    neighbour.relayed_by, neighbour.relayed_at = "eu", 5.0
    neighbour.note_state(5.0, 3.0)
    assert (neighbour.state().state, neighbour.state().since) == ("relayed by eu", 5.0)
    neighbour.note_state(9.0, 3.0)
    assert (neighbour.state().state, neighbour.state().since) == ("down", 9.0)
