"""Panels and variables of the dashboards, as short as their queries allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DataSourceRef, Threshold, ThresholdsMode

PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid="${prometheus}")
ALL_PODS: Final = 'pod=~"$pod"'
_HEIGHT: Final = 8
_COLUMNS: Final = 24
_PER_MINUTE: Final = "cpm"
"""Graphs of this unit count over a minute at least: a single call is 1 per minute, not 3 in each of 20 seconds."""

Query: TypeAlias = tuple[str, str]
"""A PromQL expression and the legend of its series."""


def lines(
    title: str,
    about: str,
    *queries: Query,
    unit: str = "short",
    width: int = _COLUMNS // 3,
    stacked: bool = False,
    exemplars: bool = False,
) -> timeseries.Panel:
    """Return a graph over time. `unit`: of Grafana, e.g. `s`, `percentunit`, `reqps`."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(PROMETHEUS)
        .unit(unit)
        .min(0)
        .span(width)
        .height(_HEIGHT)
        .line_width(1)
        .fill_opacity(30 if stacked else 8)
        .draw_style(GraphDrawStyle.LINE)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    if unit == _PER_MINUTE:
        panel = panel.interval("1m")
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    for number, (expression, legend) in enumerate(queries):
        query = _query(number, expression, legend).range()
        panel = panel.with_target(query.exemplar(True) if exemplars else query)
    return panel


def number(
    title: str,
    about: str,
    expression: str,
    *,
    unit: str = "short",
    limits: Sequence[tuple[float, str]] = (),
    width: int = 4,
) -> stat.Panel:
    """Return the current value in large digits. `limits`: (from, color) above the base color green."""
    steps = [Threshold(color="green"), *(Threshold(value=value, color=color) for value, color in limits)]
    return (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(PROMETHEUS)
        .unit(unit)
        .span(width)
        .height(4)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        .no_value("no data")
        .with_target(_query(0, expression, "").instant())
    )


def quantiles(metric: str, by: str = "", selector: str = "") -> tuple[Query, ...]:
    """Return the queries of p50, p95 and p99 of a histogram."""
    group = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    return tuple(
        (
            f"histogram_quantile({share}, sum by ({group}) (rate({metric}_bucket{selector}[$__rate_interval])))",
            f"p{round(share * 100)}{legend}",
        )
        for share in (0.5, 0.95, 0.99)
    )


def rate(metric: str, by: str = "", selector: str = "", *, counted_only: bool = False) -> Query:
    """Return the query of the events per minute, by a label. `counted_only`: without the values of the label that have
    not occurred in the range, for labels with dozens of values.
    """
    total = f"sum by ({by}) " if by else "sum"
    expression = f"{total}(rate({metric}{selector}[$__rate_interval])) * 60"
    if counted_only:
        expression += f" and {total}(increase({metric}{selector}[$__range])) > 0"
    return expression, f"{{{{{by}}}}}" if by else "events"


def board(uid: str, title: str, about: str) -> dashboard.Dashboard:
    """Return an empty dashboard with the choice of the data source."""
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags(["voice-bridge"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .readonly()
        .with_variable(dashboard.DatasourceVariable("prometheus").label("Prometheus").type("prometheus"))
        .link(
            dashboard.DashboardLink("Voice bridge")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["voice-bridge"])
            .as_dropdown(True)
            .keep_time(True)
        )
    )


def _query(number: int, expression: str, legend: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + number))
