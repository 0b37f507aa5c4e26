"""A profile names what costs, whatever sampled it."""

from __future__ import annotations

from loadtest.profiling import own_time_table

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
