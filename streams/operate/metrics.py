"""Every metric that Leapwatch exports: defined once, here; base units; no VM, server or finding in a label.

Labels come from enums and from the fleet's clusters. What a page shows of a server is for the page, not for
Prometheus: a thousand servers of twenty VMs are twenty thousand series a metric.
"""

from __future__ import annotations

import time

from prometheus_client import Counter, Gauge, Histogram, Info

BUILD = Info("leapwatch_build", "Version and code digest of what runs.")

SOURCE_RECORDS = Counter(
    "leapwatch_source_records_total",
    "Records of a source topic that were judged, pulses aside; outcome is forwarded or dead.",
    ["feed", "outcome"],
)
SOURCE_BYTES = Counter("leapwatch_source_bytes_total", "Bytes of the values read from a source topic.", ["feed"])
DEAD_LETTERS = Counter(
    "leapwatch_dead_letters_total", "Records that could not be taken, by reason.", ["feed", "reason"]
)
BATCHES = Counter("leapwatch_batches_total", "Batches written to telemetry.", ["feed"])
BATCH_BYTES = Counter("leapwatch_batch_bytes_total", "Bytes of the batches written to telemetry.", ["feed"])
SOURCE_UNREAD = Gauge("leapwatch_source_unread_records", "Records of a feed behind what was read of it.", ["feed"])
PULSES_FAILED = Counter("leapwatch_pulses_failed_total", "Pulses that a source topic's broker did not take.", ["feed"])
SOURCE_LAST = Gauge(
    "leapwatch_source_last_record_timestamp_seconds",
    "Broker's stamp of the newest record of a feed other than a pulse.",
    ["feed"],
)

FRAMES = Counter(
    "leapwatch_frames_total",
    "Frames fed to the engine; kind is batch, clocks, finding, decision, or other (of a later version).",
    ["role", "kind"],
)
ROWS = Counter("leapwatch_rows_total", "Rows of the batches fed to the engine.", ["role"])
REPEATS = Counter("leapwatch_repeats_total", "Rows dropped because their offset was known already.", ["role"])
CONFIGS_REFUSED = Counter(
    "leapwatch_configs_refused_total", "Configurations in the log that could not be read; the old one stayed.", ["role"]
)
DETECTOR_ERRORS = Counter(
    "leapwatch_detector_errors_total", "Frames at which a detector raised and was quarantined.", ["detector"]
)
FINDINGS = Counter("leapwatch_findings_total", "Findings published.", ["detector", "state", "severity"])
FINDINGS_OPEN = Gauge("leapwatch_findings_open", "Findings open now.", ["detector", "severity"])
INCIDENTS_OPEN = Gauge("leapwatch_incidents_open", "Incidents that go on, by severity.", ["severity"])
DECISIONS = Counter("leapwatch_decisions_total", "Decisions published.", ["action", "state"])
LATCHES_OPEN = Gauge("leapwatch_latches_open", "Decisions that stand until a person releases them.", ["action"])
HUMAN_INVESTIGATE = Gauge(
    "leapwatch_hosts_human_investigate", "Servers of a cluster in Human Investigate or under repair.", ["cluster"]
)
HI_THRESHOLD_RATIO = Gauge(
    "leapwatch_hi_threshold_ratio",
    "Servers in Human Investigate over the number at which the brake falls.",
    ["cluster"],
)
REBOOTS = Counter(
    "leapwatch_host_reboots_total", "Reboots of servers that the FC reported, expected or not.", ["cluster", "expected"]
)
LEAD_TYPES = ("Freeze", "Reboot", "Redeploy", "Preempt", "Terminate", "Wave")
"""What maintenance is announced as; anything else is `other`: a label comes from no record."""
NOTICE_LEAD = Histogram(
    "leapwatch_maintenance_lead_seconds",
    "From the announcement of maintenance to when it may begin, by the stamp of the record; a wave: to its window.",
    ["event_type"],
    buckets=(0, 30, 60, 300, 600, 900, 1800, 3600, 86_400, 7 * 86_400, 14 * 86_400, 30 * 86_400, 60 * 86_400),
)
EVENT_DELAY = Histogram(
    "leapwatch_event_delay_seconds",
    "From the broker's stamp of the record that brought a finding to the finding's commit, by wall clock.",
    ["severity"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800),
)
FLUSH = Histogram(
    "leapwatch_flush_seconds",
    "Duration of one transaction of outputs and progress.",
    ["role"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SNAPSHOTS = Counter(
    "leapwatch_snapshots_total", "Snapshots of clusters; outcome is written, restored or unusable.", ["outcome"]
)
SNAPSHOT_BYTES = Counter("leapwatch_snapshot_bytes_total", "Bytes of the snapshots written.")

STAGE_LAST = Gauge(
    "leapwatch_stage_last_processed_timestamp_seconds",
    "Broker's stamp of the newest record that has gone through a stage: read, forwarded, flushed.",
    ["role", "stage"],
)
WATERMARK = Gauge(
    "leapwatch_watermark_timestamp_seconds", "The least watermark of the lanes that a worker owns.", ["role"]
)
PROGRESS = Gauge("leapwatch_progress_timestamp_seconds", "Wall clock of the last progress of a role.", ["role"])
PROGRESS_AGE = Gauge(
    "leapwatch_progress_age_seconds", "Seconds since the last progress of a role, by wall clock.", ["role"]
)
PARTITIONS = Gauge("leapwatch_partitions_owned", "Partitions that a worker owns.", ["role"])
REBALANCES = Counter("leapwatch_rebalances_total", "Rebalances that a worker went through.", ["role"])
STATE = Gauge("leapwatch_worker_state", "1 for the state that a worker is in.", ["role", "state"])

RELOADS = Counter(
    "leapwatch_config_reloads_total", "Reloads asked for; outcome is written, unchanged or refused.", ["outcome"]
)
RELOAD_OK = Gauge(
    "leapwatch_config_last_reload_successful", "1 where the last reload was good, 0 where it was refused.", ["role"]
)
CONFIG_MATCHES = Gauge("leapwatch_config_matches_log", "1 where the file's thresholds are those of the log.", ["role"])
"""Labelled, so that a role which does not look at a file says nothing: a gauge without labels says 0 unasked."""


def build(version: str, code_digest: str) -> None:
    """Say what runs."""
    BUILD.info({"version": version, "code": code_digest[:12]})


def progressed(role: str) -> None:
    """Say that `role` has made progress, now; the age is then counted at each scrape."""
    at_s = time.time()
    PROGRESS.labels(role).set(at_s)
    PROGRESS_AGE.labels(role).set_function(lambda: max(0.0, time.time() - at_s))


def told(severity: str, at_ms: int) -> None:
    """Say that a finding which a record stamped `at_ms` brought is committed, now."""
    EVENT_DELAY.labels(severity).observe(max(0.0, time.time() - at_ms / 1000))


def lead(event_type: str, lead_s: float) -> None:
    """Say that maintenance was announced so many seconds ahead."""
    NOTICE_LEAD.labels(event_type if event_type in LEAD_TYPES else "other").observe(lead_s)


def passed(role: str, stage: str, at_ms: int) -> None:
    """Say that a pulse stamped `at_ms` has gone through `stage`."""
    STAGE_LAST.labels(role, stage).set(at_ms / 1000)
