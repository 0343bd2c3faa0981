"""Pods are spread over nodes; missing nodes are provisioned."""

from __future__ import annotations

from sizing.simulation.clock import Clock
from sizing.simulation.nodes import EMPTY_S, LOOK_S, Node, Nodes, NodeSpec


def test_pods_of_a_kind_spread() -> None:
    nodes, placed = Nodes(Clock(), NodeSpec(1000, 3, 180)), list[Node]()
    for _ in range(3):
        nodes.place("relay", 200, placed.append)
    assert len(set(map(id, placed))) == 3


def test_a_pod_that_does_not_fit_waits_for_a_new_node() -> None:
    clock = Clock()
    nodes, placed = Nodes(clock, NodeSpec(1000, 1, 180)), list[float]()
    for _ in range(3):
        nodes.place("relay", 600, lambda node: placed.append(clock.now))
    assert placed == [0.0]
    clock.run(400.0)
    assert placed == [0.0, LOOK_S + 180, LOOK_S + 180]
    assert len(nodes.nodes) == 3


def test_a_pending_pod_gets_the_place_of_one_that_ended() -> None:
    nodes, placed = Nodes(Clock(), NodeSpec(1000, 1, 180)), list[Node]()
    nodes.place("relay", 600, placed.append)
    nodes.place("relay", 600, placed.append)
    nodes.release(placed[0], "relay", 600)
    assert len(placed) == 2


def test_empty_nodes_are_removed_down_to_the_minimum() -> None:
    clock = Clock()
    nodes, placed = Nodes(clock, NodeSpec(1000, 1, 10)), list[Node]()
    nodes.extend(2000)
    assert len(nodes.nodes) == 3
    nodes.place("relay", 600, placed.append)
    clock.run(EMPTY_S + 2 * LOOK_S)
    assert nodes.nodes == placed


def test_a_dead_node_is_replaced() -> None:
    clock = Clock()
    nodes = Nodes(clock, NodeSpec(1000, 2, 180))
    nodes.kill(nodes.nodes[0])
    clock.run(LOOK_S + 180)
    assert len(nodes.nodes) == 2
