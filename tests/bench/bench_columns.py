"""What the VMs of a host report cost as columns, as an Avro array and as JSON: `python -m tests.bench.bench_columns`.

Prints microseconds a report of 20 VMs, nanoseconds a VM and how that stands to columns; then bytes, alone and with lz4
over 50 reports. `unchanged` is what nearly every full report says, and what it takes to see that: two blocks of bytes
are compared as they are, an Avro array of records inside a batch is read first.
"""

from __future__ import annotations

import argparse
import io
import timeit
from collections.abc import Callable
from dataclasses import dataclass

import cramjam
import fastavro
import msgspec
import orjson

from schemas import avro_files
from schemas.codec import datum_maker, decode, encode
from schemas.columns import pack_vms, unpack_vms
from schemas.source import VmReport
from schemas.telemetry import Batch, HostRow

VMS = 20
REPORTS = 50

MAKE = datum_maker(VmReport)
ARRAY = avro_files.parsed(
    {
        "type": "array",
        "items": next(f for f in avro_files.read("HostReport")["fields"] if f["name"] == "vms")["type"][1]["items"],
    }
)


@dataclass(frozen=True, slots=True)
class Form:
    """One way to put VMs into bytes."""

    name: str
    pack: Callable[[tuple[VmReport, ...]], bytes]
    unpack: Callable[[bytes], tuple[VmReport, ...]]


def to_avro(vms: tuple[VmReport, ...]) -> bytes:
    """Return the VMs as an Avro array of records."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, ARRAY, [MAKE(vm) for vm in vms])
    return out.getvalue()


def from_avro(data: bytes) -> tuple[VmReport, ...]:
    """Return the VMs of an Avro array."""
    return msgspec.convert(fastavro.schemaless_reader(io.BytesIO(data), ARRAY, None), tuple[VmReport, ...])


JSON = msgspec.json.Decoder(tuple[VmReport, ...])
FORMS = (
    Form("columns", pack_vms, unpack_vms),
    Form("avro array", to_avro, from_avro),
    Form("json", orjson.dumps, JSON.decode),
)


def fleet(server: int) -> tuple[VmReport, ...]:
    """Return the VMs of one server."""
    return tuple(
        VmReport(
            f"c-01-vm-{server:04d}-{n:02d}",
            1 + n % 3,
            "READY",
            n % 7 == 0,
            "GA-2.7.1",
            1_330_476_300_000 + n * 977,
            "UP",
        )
        for n in range(VMS)
    )


def best_us(work: Callable[[], object], seconds: float) -> float:
    """Return microseconds a call, the best of seven runs."""
    timer = timeit.Timer(work)
    once = max(timer.timeit(200) / 200, 1e-9)
    number = max(1, int(seconds / 7 / once))
    return min(timer.repeat(7, number)) / number * 1e6


def measured(form: Form, servers: list[tuple[VmReport, ...]], seconds: float) -> tuple[list[float], list[float]]:
    """Return microseconds to pack, to unpack, and to see that nothing changed; and bytes, alone and compressed."""
    vms = servers[0]
    block, again = form.pack(vms), form.pack(fleet(0))
    assert form.unpack(block) == vms
    if form.pack is to_avro:
        unchanged = best_us(lambda: form.unpack(again) == vms, seconds)
    else:
        unchanged = best_us(lambda: block == again, seconds)
    times = [best_us(lambda: form.pack(vms), seconds), best_us(lambda: form.unpack(block), seconds), unchanged]
    compressed = len(cramjam.lz4.compress(b"".join(map(form.pack, servers)))) / len(servers)
    return times, [len(block), compressed]


def measure_forms(seconds: float) -> None:
    """Print a line a form."""
    servers = [fleet(server) for server in range(REPORTS)]
    heads = "".join(f"{head:>11}{'ns/VM':>7}{'ratio':>7}" for head in ("pack us", "unpack us", "unchanged"))
    print(f"{'form':<12}{heads}{'bytes':>7}{'lz4':>6}")
    base: list[float] = []
    for form in FORMS:
        times, sizes = measured(form, servers, seconds)
        base = base or times
        cells = "".join(
            f"{us:>11.2f}{us * 1000 / VMS:>7.0f}{us / first:>7.1f}" for us, first in zip(times, base, strict=True)
        )
        print(f"{form.name:<12}{cells}{sizes[0]:>7.0f}{sizes[1]:>6.0f}")


def batch_of(block: bytes | None) -> Batch:
    """Return a batch of rows with this block of VMs."""
    rows = tuple(
        HostRow(f"s-{n:04d}", "4f0c3b1e-77aa", "run-1", n, 5, 1_330_476_300_000 + n, 60, vms_block=block)
        for n in range(REPORTS)
    )
    return Batch("c-01", "host-agent", "host-agent", "id", 3, tuple(range(REPORTS)), tuple(range(REPORTS)), rows)


def measure_batch(name: str, batch: Batch, seconds: float) -> None:
    """Print what a row of this batch costs."""
    data = encode(batch)
    assert decode(data) == batch
    there, back = best_us(lambda: encode(batch), seconds) / REPORTS, best_us(lambda: decode(data), seconds) / REPORTS
    size = len(data) / REPORTS
    print(f"a {name} in a batch of {REPORTS}: encode {there:.2f} us, decode {back:.2f} us, {size:.0f} bytes")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each number")
    seconds = parser.parse_args().seconds
    measure_forms(seconds)
    measure_batch("beat", batch_of(None), seconds)
    measure_batch("full report", batch_of(pack_vms(fleet(0))), seconds)


if __name__ == "__main__":
    main()
