"""What the codec costs a host report: `python -m tests.bench.bench_codec`.

Prints microseconds to encode and decode a beat and a full report of 20 VMs, and how our way of writing stands to
fastavro's own, which validates a whole array to find that it is no null. `as before`: the same VMs as last time.
"""

from __future__ import annotations

import io
import timeit
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import fastavro

from schemas import avro_files
from schemas.codec import datum_maker, decode, encode
from schemas.source import HostReport, VmReport

ROUNDS = 7
CALLS = 500


def report(*, full: bool) -> HostReport:
    """Return a report as a server of the healthy week sends it."""
    names = [f"north-1-s0001-v{number:02d}" for number in range(20)]
    vms = tuple(VmReport(name, 1, "READY", ga_version="1.7", since_ms=1330000000000, network="UP") for name in names)
    versions = dict.fromkeys(("fc", "ha", "netplugin", "host_os", "nmagent"), "1.7")
    told = (versions, vms) if full else (None, None)
    return HostReport("north-1", "north-1-s0001", "boot-1", "run-1", 5, 5, 1330000000000, 60, "READY", *told)


def cost_us(call: Callable[[], object]) -> float:
    """Return microseconds a call, in the best of some rounds: what else the machine does only adds."""
    return min(timeit.repeat(call, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6


def main() -> None:
    schema = avro_files.parsed(avro_files.read("HostReport"))
    datum = datum_maker(HostReport)

    def plain(record: HostReport) -> None:
        fastavro.schemaless_writer(io.BytesIO(), schema, datum(record))

    def anew(record: HostReport) -> None:
        encode(replace(record, vms=record.vms and (*record.vms,)))

    for name, full, writing in (
        ("beat", False, encode),
        ("full, as before", True, encode),
        ("full, new VMs", True, anew),
    ):
        record = report(full=full)
        data = encode(record)
        ours = cost_us(partial(writing, record))
        share = ours / cost_us(partial(plain, record))
        read = cost_us(partial(decode, data))
        print(f"{name:16}{len(data):6} bytes  encode {ours:6.1f} us ({share:.2f} of plain)  decode {read:6.1f} us")


if __name__ == "__main__":
    main()
