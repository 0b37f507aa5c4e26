"""A report shows the generator beside the gateways; a curve compares with its first count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loadtest.load import page
from tests.unit.loadtest.load.plans import plan

MACHINE = {"cores": 2, "python": "3.11.7", "commit": "abc", "libraries": {"grpcio": "1"}}
LATENCIES = {
    f"{name}_p{percent}_ms": float(percent)
    for name in ("last_offer", "decision")
    for percent in (50, 95, 99)
}


def _gateway(admitted: float, cpu: float) -> dict[str, float]:
    return {
        "admitted_per_second": admitted,
        "delivered_per_second": admitted * 3,
        "messages_delivered": admitted * 30,
        "cpu_seconds": cpu * 10,
        "cpu_share": cpu,
        "cpu_us_per_delivery": 50.0,
        "resident_mib_first": 96.0,
        "resident_mib_last": 101.0,
        "open_files_max": 47.0,
        "messages_repeated": 0.0,
        "messages_undelivered": 0.0,
        "messages_refused": 0.0,
    }


def _summary(gateways: int, rate: float, cpu: float) -> dict[str, Any]:
    each = [_gateway(1_000.0, cpu) for _ in range(gateways)]
    return {
        "gateways": gateways,
        "agents": 20,
        "steady_rounds_per_second": rate,
        "stretches": {"all of it": {"rounds": 1_234, **LATENCIES}},
        "streams": {
            "connects": 20,
            "returns": 0,
            "resumed": 0,
            "connect_max_ms": 7.0,
            **{f"connect_p{percent}_ms": 5.0 for percent in (50, 95, 99)},
        },
        "by_gateway": each,
        "steady_by_gateway": each,
        "etcd": {"version": "3.5.16", "cpu_seconds": 0.5},
        "generator": {
            "cpu_seconds": 3.0,
            "drivers_cpu_seconds": 2.0,
            "cores_busy": 0.3,
            "busiest_driver_share": 0.2,
            "lag_p99_ms": 1.25,
        },
        "locust": [{"type": "round", "name": "decision", "requests": 9, "failures": 0}],
        "wrong": [],
        "doubts": ["the machine was slow"] if gateways == 2 else [],
    }


def test_a_report_shows_rounds_gateways_and_the_generator(tmp_path: Path) -> None:
    summary = _summary(2, 500.0, 0.5)
    summary["locust"][0] |= {"per_second": 0.9, "p50_ms": 5.0, "p95_ms": 6.0, "p99_ms": 7.0}
    text = page.of_run("make load", MACHINE, plan(tmp_path), summary)
    assert "| all of it | 1,234 | 50 / 95 / 99 | 50 / 95 / 99 |" in text
    assert "| gateway-2 | 1,000 | 3,000 | 0.50 | 50 | 96, 101 | 47 | 0 | 0 | 0 |" in text
    assert "Locust 1.0 s, its 1 driver 2.0 s, the busiest 20% of a core" in text
    assert "| round | decision | 9 | 0 | 0.9 | 5 | 6 | 7 |" in text
    assert "**In doubt:** the machine was slow." in text


def test_a_curve_says_what_each_gateway_adds(tmp_path: Path) -> None:
    text = page.of_curve("make load-curve", MACHINE, [_summary(1, 400, 0.6), _summary(2, 600, 0.9)])
    rows = [line for line in text.splitlines() if line.startswith(("| 1", "| 2"))]
    assert rows == [
        "| 1 | 20 | 400 | 1.00 | 1,000 | 50 / 95 / 99 | 0.60 | 200 | 1.00 | 0.30 |",
        "| 2 | 20 | 600 | 0.75 | 2,000 | 50 / 95 / 99 | 1.80 | 300 | 1.50 | 0.30 |",
    ]
    assert "2 gateways: the machine was slow." in text


def test_what_was_not_measured_is_a_dash() -> None:
    assert page.three({f"x_p{percent}_ms": None for percent in (50, 95, 99)}, "x") == "– / – / –"
