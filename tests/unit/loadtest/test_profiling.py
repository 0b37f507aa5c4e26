"""A profile names what costs, whatever sampled it."""

from __future__ import annotations

from pathlib import Path

from loadtest.profiling import AREAS, area_table, own_time_table

STACKS = [
    "run (app.py:1);admit (gateway/admission.py:10);parse (gateway/json.py:5) 6",
    "run (app.py:1);admit (gateway/admission.py:12) 3",
    "run (app.py:1);admit (gateway/admission.py:12);admit (gateway/admission.py:13) 1",
    "no count at all",
    "",
]


def test_a_function_is_charged_for_its_own_time_and_for_what_it_calls() -> None:
    lines = own_time_table(STACKS).splitlines()
    assert lines[0] == "10 samples"
    assert "  60.0%   60.0%  parse (gateway/json.py)" in lines
    assert "  40.0%  100.0%  admit (gateway/admission.py)" in lines
    assert not any(line.endswith("run (app.py)") for line in lines)


def test_lines_are_charged_one_by_one() -> None:
    lines = own_time_table(STACKS).splitlines()
    after = lines[lines.index("    own  line") + 1 :]
    assert after[:2] == [
        "  60.0%  parse (gateway/json.py:5)",
        "  30.0%  admit (gateway/admission.py:12)",
    ]


def test_a_sample_belongs_to_the_part_whose_function_called_what_runs() -> None:
    table = area_table(
        [
            "run (asyncio/run.py:1);_read (gateway/session.py:9);admit (gateway/admission.py:1) 5",
            "_read (gateway/session.py:9);finished (gateway/records.py:4);msg (log/out.py:2) 2",
            "_work (policy/shard.py:9);perform (gateway/negotiations.py:1) 2",
            "serve (gateway/commands/serve.py:8);run (asyncio/runners.py:1) 1",
            "no count at all",
        ]
    ).splitlines()
    assert table[2] == "| admission: envelope, JSON, schema, rate, duplicate | 50% | `admit` |"
    assert "| records, log, metrics, fairness | 20% | `finished` |" in table
    assert "| carrying out: verdicts, relays, outboxes | 20% | `perform` |" in table
    assert table[-1].startswith("| the event loop, and grpc in its own threads | 10% |")


def test_every_part_has_modules() -> None:
    """What a part is made of is told by paths; a module that was moved would fall out of it."""
    for places in AREAS.values():
        for place in places:
            assert list(Path().glob(f"{place}*")), place
