"""Metrics: names and labels that Prometheus's users expect."""

import re

import pytest
from prometheus_client import Counter, Gauge, Histogram, Info
from prometheus_client.metrics import MetricWrapperBase

from streams.operate import metrics

ALL = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
UNITS = re.compile(r"_(seconds|bytes|ratio|records|total|info)$")
COUNTED = {
    "leapwatch_findings_open",
    "leapwatch_incidents_open",
    "leapwatch_latches_open",
    "leapwatch_hosts_human_investigate",
}
COUNTED |= {"leapwatch_partitions_owned", "leapwatch_worker_state"}
COUNTED |= {"leapwatch_config_last_reload_successful", "leapwatch_config_matches_log"}


def exported(metric: MetricWrapperBase) -> str:
    name: str = metric._name
    return name + {Counter: "_total", Info: "_info"}.get(type(metric), "")


@pytest.mark.parametrize("metric", ALL, ids=exported)
def test_a_name_has_our_prefix_and_ends_in_its_base_unit(metric: MetricWrapperBase) -> None:
    name = exported(metric)

    assert name.startswith("leapwatch_")
    assert UNITS.search(name) or name in COUNTED
    assert not re.search(r"_(ms|milliseconds|minutes|percent|kb|mb)(_|$)", name)


@pytest.mark.parametrize("metric", ALL, ids=exported)
def test_no_label_names_a_vm_a_server_or_a_finding(metric: MetricWrapperBase) -> None:
    assert not {"vm", "server", "host", "finding", "id", "lane", "partition"} & set(metric._labelnames)


def test_every_metric_says_what_it_is() -> None:
    assert [] == [exported(metric) for metric in ALL if not metric._documentation.endswith(".")]


def test_all_kinds_are_there() -> None:
    assert {Counter, Gauge, Histogram, Info} == {type(metric) for metric in ALL}


def test_the_age_of_progress_grows_by_itself() -> None:
    metrics.progressed("test")
    (sample,) = [
        sample
        for family in metrics.PROGRESS_AGE.collect()
        for sample in family.samples
        if sample.labels["role"] == "test"
    ]

    assert 0 <= sample.value < 60
