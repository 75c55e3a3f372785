"""The programs that measure scale, on a very small one, and the arithmetic on what they find."""

from __future__ import annotations

from pathlib import Path

import pytest

from benches.page import bytes_text, micros, number
from benches.scale import clients, clusters, history, keys, memories, model
from benches.scale.__main__ import PAGE, written
from benches.scale.model import Costs, Primary, Workload
from tests.servers import RealServer

COSTS = Costs(
    append=10e-6,
    tail=10e-6,
    load=10e-6,
    load_message=1e-6,
    append_bytes=1_000,
    message_bytes=300,
    stored=400,
    memory=100,
)
WORKLOAD = Workload("a test", 1_000, 100, 10_000, 20, 80)


def test_lengths_and_what_they_cost(own_server: RealServer) -> None:
    lengths = history.measure(own_server, (1, 10))
    assert [length.messages for length in lengths] == [1, 10]
    longer = lengths[1]
    assert longer.load.received > lengths[0].load.received > 100
    assert 0 < longer.append.p50 <= longer.append.p99
    assert longer.append.sent > 500
    assert history.report(lengths).count("| 10 |") == 2


def test_keys_and_what_they_cost(own_server: RealServer) -> None:
    rows = keys.measure(own_server, (0, 3))
    assert [row.remembered for row in rows] == [0, 3]
    assert all(0 < row.append.p50 <= row.append.p99 for row in rows)
    assert rows[1].append.sent > rows[0].append.sent
    assert "| 3 |" in keys.report(rows)


def test_memories_are_all_listed(own_server: RealServer) -> None:
    (row,) = memories.measure(own_server, (2_000,))
    assert 0 < row.first <= row.listed * 2_000
    assert 300 < row.stored < 3_000
    assert "| 2,000 |" in memories.report([row])


def test_clients_have_as_many_connections_as_they_say(own_server: RealServer) -> None:
    loads = clients.measure(own_server, (1, 20), seconds=0.2)
    assert [(load.kind, load.connections) for load in loads[:2]] == [
        ("connections", 1),
        ("connections", 20),
    ]
    assert loads[3].connections <= 2
    assert all(load.rate > 10 for load in loads)
    assert "20 tasks" in clients.report(loads)


def test_a_cluster_of_one_and_of_two(tmp_path: Path) -> None:
    rows = clusters.measure(tmp_path, (1, 2), memories=200)
    assert rows[0].fullest == 1
    assert 1 <= rows[1].fullest < 2
    assert clusters.report(rows).count("\n") == 3


def test_each_term_asks_for_its_primaries() -> None:
    primary = Primary(processor=0.5, memory=1e6, network=6e6, connections=1_000)
    needs = model.needs(COSTS, WORKLOAD, primary)
    assert needs["processor"] == pytest.approx(10_000 * 20e-6 / 0.5)
    assert needs["memory"] == pytest.approx(1_000 * (100 + 100 * 400) / 1e6)
    assert needs["network"] == pytest.approx(10_000 * 20 * 300 / 6e6)
    assert needs["connections"] == pytest.approx(0.8)


def test_reading_everything_costs_what_it_is_long() -> None:
    whole = Workload("a test", 1_000, 100, 10_000, 100, 80)
    assert model.needs(COSTS, whole)["processor"] == pytest.approx(10_000 * 120e-6 / 0.7)


def test_the_report_names_what_breaks_first() -> None:
    rows = [line for line in model.report(COSTS).splitlines() if " memories of " in line]
    assert len(rows) == len(model.WORKLOADS)
    assert all(row.split("|")[-2].strip() in {*model.needs(COSTS, WORKLOAD)} for row in rows)


def test_the_page_has_a_place_for_every_table() -> None:
    texts = dict.fromkeys(("machine", "history", "memories", "clients", "cluster", "model"), "NEW")
    page = written(PAGE.read_text(), texts)
    assert page.count("NEW") == len(texts)
    assert written(page, texts) == page


def test_numbers_read_as_people_write_them() -> None:
    assert [micros(17.24), micros(1312.0), micros(2.05e6)] == ["17.2 µs", "1.31 ms", "2.05 s"]
    assert [bytes_text(592), bytes_text(28.3e6), bytes_text(1.2e12)] == [
        "592 B",
        "28.3 MB",
        "1.2 TB",
    ]
    assert [number(0.0131), number(1.83), number(44.4), number(1250)] == [
        "0.013",
        "1.8",
        "44",
        "1,250",
    ]
