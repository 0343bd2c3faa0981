"""Processes, capacity, draining, versions, CPU, event loop, Redis."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import VariableRefresh

from observability.panels import ALL_PODS, PROMETHEUS, board, lines, quantiles, rate


def fleet() -> dashboard.Dashboard:
    pods = f"{{{ALL_PODS}}}"
    return (
        board("voice-bridge-fleet", "Voice bridge: fleet", "Processes of the three services, and their Redis.")
        .with_variable(
            dashboard.QueryVariable("pod")
            .label("Pod")
            .datasource(PROMETHEUS)
            .query("label_values(bridge_draining, pod)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
        .with_row(dashboard.Row("Processes"))
        .with_panel(
            lines(
                "Processes",
                "Processes that are scraped, by service.",
                ("count by (job) (bridge_draining)", "{{job}}"),
            )
        )
        .with_panel(
            lines(
                "Not ready or draining",
                "A rolling update drains one process after the other. Alert: ProcessNotReady.",
                ("sum by (job) (bridge_draining)", "{{job}} draining"),
                ("sum by (job) (1 - bridge_ready)", "{{job}} not ready"),
            )
        )
        .with_panel(
            lines(
                "Versions",
                "Processes by version. Alert: VersionSkew.",
                ("count by (service, version, revision) (bridge_build_info)", "{{service}} {{version}} {{revision}}"),
                stacked=True,
            )
        )
        .with_panel(
            lines(
                "Calls by process",
                "Calls that each process owns.",
                (f'bridge_active_calls{{job=~"agent-relay|media-gateway", {ALL_PODS}}}', "{{pod}}"),
                stacked=True,
            )
        )
        .with_panel(
            lines(
                "Capacity used",
                "Calls and capacity of gateways and relays. Alert: CapacityAlmostUsed.",
                ('max by (kind) (bridge_fleet_calls{kind!="call-control"})', "{{kind}} calls"),
                ("max by (kind) (bridge_fleet_capacity_calls)", "{{kind}} capacity"),
            )
        )
        .with_panel(
            lines(
                "Restarts in 30 minutes",
                "Changes of the start time. Alert: ProcessRestarting.",
                (f"changes(process_start_time_seconds{pods}[30m])", "{{pod}}"),
            )
        )
        .with_row(dashboard.Row("Load"))
        .with_panel(
            lines(
                "CPU by process",
                "Cores in use.",
                (f"rate(process_cpu_seconds_total{pods}[$__rate_interval])", "{{pod}}"),
                unit="none",
            )
        )
        .with_panel(
            lines(
                "Memory by process",
                "Resident memory.",
                (f"process_resident_memory_bytes{pods}", "{{pod}}"),
                unit="bytes",
            )
        )
        .with_panel(
            lines(
                "Event loop lag, p99",
                "Above 20 ms audio suffers. Alert: EventLoopLag.",
                quantiles("bridge_event_loop_lag_seconds", "job")[2],
                unit="s",
            )
        )
        .with_panel(lines("Open files", "File descriptors.", (f"process_open_fds{pods}", "{{pod}}")))
        .with_panel(
            lines(
                "Media sockets closed, per minute",
                "By close code of the WebSocket.",
                rate("bridge_gateway_sockets_total", "code", counted_only=True),
                unit="cpm",
                stacked=True,
            )
        )
        .with_panel(
            lines(
                "Requests refused, per minute",
                "By endpoint. Alerts: WebhookRequestsRefused, WrongApiKeys.",
                rate("bridge_requests_refused_total", "endpoint"),
                unit="cpm",
                stacked=True,
            )
        )
        .with_row(dashboard.Row("Redis and inbox"))
        .with_panel(
            lines(
                "Audio through Redis, p99",
                "From the append in one service to the read in the other. Alert: AudioDelayed.",
                quantiles("bridge_frame_delay_seconds", "direction")[2],
                unit="s",
            )
        )
        .with_panel(
            lines(
                "Outages of Redis, per minute",
                "Failures of connections, by service. Alert: RedisUnstable.",
                rate("bridge_redis_outages_total", "job"),
                unit="cpm",
            )
        )
        .with_panel(
            lines(
                "Entries waiting and dropped",
                "Media entries that Redis has not stored. Alert: RedisDroppedAudio.",
                ("sum by (job) (bridge_writer_waiting_entries)", "{{job}} waiting"),
                (
                    "sum by (job) (rate(bridge_writer_dropped_entries_total[$__rate_interval]))",
                    "{{job}} dropped/s",
                ),
            )
        )
        .with_panel(
            lines(
                "Inbox",
                "Entries that wait for call-control. Alert: InboxBacklog.",
                ("max(bridge_inbox_waiting)", "waiting"),
            )
        )
        .with_panel(
            lines("Wait in the inbox", "Until an entry is handled.", *quantiles("bridge_inbox_wait_seconds"), unit="s")
        )
        .with_panel(
            lines(
                "Commands to ACS by outcome, per minute",
                "Every outcome but done is a failure. Alert: AcsCommandsFailing.",
                rate("bridge_acs_requests_total", "outcome"),
                unit="cpm",
                stacked=True,
            )
        )
    )
