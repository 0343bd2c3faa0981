"""One call by its id: where its logs and its trace are, and the latencies that lead to a trace."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard, tempo, text
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.text import TextMode

from observability.panels import board, lines, quantiles

_TEMPO: Final = DataSourceRef(type_val="tempo", uid="${tempo}")
_CALL: Final = """\
A metric is a sum over calls, so it cannot show one call. Enter a `call_id` above: it is in every log line, in the
operator API (`GET /api/calls`) and in the traces.

| source | query |
| --- | --- |
| record and transcript | `GET /api/calls/$call_id`, `GET /api/calls/$call_id/transcript` (operator key) |
| logs, Docker Compose | `docker compose logs --no-log-prefix \\| grep $call_id` |
| logs, Azure Monitor | `ContainerLogV2 \\| where LogMessage.call_id == "$call_id" \\| order by TimeGenerated asc` |
| trace, Application Insights | *Transaction search*, `customDimensions.call_id == "$call_id"` |

Where the data source has exemplars, a point in the graphs below leads to the trace of one slow call.
"""


def call() -> dashboard.Dashboard:
    trace = (
        dashboard.Panel()
        .type("table")
        .title("Traces of the call")
        .description("Needs the data source Tempo. A call is one trace.")
        .datasource(_TEMPO)
        .span(24)
        .height(6)
        .with_target(
            tempo.TempoQuery().query_type("traceql").query('{ span.call_id = "$call_id" }').limit(20).ref_id("A")
        )
    )
    return (
        board("voice-bridge-call", "Voice bridge: one call", "Where the facts about one call are.")
        .with_variable(dashboard.DatasourceVariable("tempo").label("Tempo").type("tempo"))
        .with_variable(dashboard.TextBoxVariable("call_id").label("call_id").default_value("call_"))
        .with_panel(
            text.Panel().title("What metrics cannot show").mode(TextMode.MARKDOWN).content(_CALL).span(24).height(8)
        )
        .with_panel(trace)
        .with_panel(
            lines(
                "Response of the agent",
                "Slow responses around the call; a point leads to a trace.",
                *quantiles("bridge_relay_first_frame_seconds"),
                unit="s",
                exemplars=True,
                width=12,
            )
        )
        .with_panel(
            lines(
                "Time to connected",
                "Slow answers around the call; a point leads to a trace.",
                *quantiles("bridge_answer_seconds", selector='{until="connected"}'),
                unit="s",
                exemplars=True,
                width=12,
            )
        )
    )
