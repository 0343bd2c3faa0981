"""The algorithm of the HorizontalPodAutoscaler."""

from __future__ import annotations

from sizing.simulation.autoscaler import Autoscaler, ScalingPolicy, ScalingRules, ScalingSpec

UP = ScalingRules(0, (ScalingPolicy("Percent", 100, 30), ScalingPolicy("Pods", 4, 30)))
DOWN = ScalingRules(300, (ScalingPolicy("Pods", 1, 60),))


def _autoscaler(minimum: int = 2, maximum: int = 100) -> Autoscaler:
    return Autoscaler(ScalingSpec(minimum, maximum, 40, UP, DOWN))


def test_a_small_difference_is_tolerated() -> None:
    assert _autoscaler().replicas(0, 10, 439) == 10
    assert _autoscaler().replicas(0, 10, 441) == 12
    assert _autoscaler().replicas(0, 10, 361) == 10


def test_the_fastest_policy_for_scaling_up_applies() -> None:
    assert _autoscaler().replicas(0, 2, 4000) == 6
    one = _autoscaler()
    assert one.replicas(0, 20, 4000) == 40
    assert one.replicas(15, 40, 4000) == 40, "20 pods were added within the period"
    assert one.replicas(31, 40, 4000) == 80
    assert one.replicas(62, 80, 8000) == 100, "maximum"


def test_scaling_down_waits_for_the_highest_recommendation_of_the_window() -> None:
    one = _autoscaler()
    assert one.replicas(0, 10, 400) == 10
    assert one.replicas(15, 10, 80) == 10
    assert one.replicas(299, 10, 80) == 10
    assert one.replicas(301, 10, 80) == 9
    assert one.replicas(316, 9, 80) == 9, "one a minute"
    assert one.replicas(362, 9, 80) == 8


def test_a_peak_within_the_window_prevents_scaling_down() -> None:
    one = _autoscaler()
    one.replicas(0, 10, 80)
    one.replicas(200, 10, 400)
    assert one.replicas(400, 10, 80) == 10


def test_limits() -> None:
    one = _autoscaler(minimum=3)
    assert one.replicas(0, 2, 10) == 3
