"""A worker of the tests: writes what it is handed to a file, a line a bundle, and acks."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from streams.kafka.bundle import Bundle, last_heard_s
from streams.kafka.faust_host import make_app, run_worker
from streams.kafka.guards import Continuity


def main(bootstrap: str, topic: str, group: str, out: str, work_s: float) -> None:
    app = make_app(group, bootstrap, session_timeout_s=6.0, commit_interval_s=0.2)
    continuity = Continuity()
    file = Path(out).open("a", buffering=1)  # noqa: SIM115  # until the process ends

    async def forget(_app: Any, revoked: Any, **_: Any) -> None:
        for tp in revoked:
            continuity.forget(tp.topic, tp.partition)

    async def handle(stream: Any) -> None:
        async for event in stream.noack().events():
            bundle: Bundle = event.value
            hole = continuity.hole(bundle)
            answered_s = time.monotonic() - (last_heard_s(app.standing().values()) or 0.0)
            await asyncio.sleep(work_s)
            line = {
                "partition": bundle.partition,
                "from": bundle.from_offset,
                "to": bundle.to_offset,
                "hole": hole is not None,
                "answered_s": answered_s,
                "records": [[r.offset, r.timestamp, (r.value or b"").decode()] for r in bundle.records],
            }
            file.write(json.dumps(line) + "\n")
            event.ack()

    app.on_partitions_revoked.connect(forget, weak=False)
    app.agent(app.bundles(topic), concurrency=1)(handle)
    run_worker(app)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], float(sys.argv[5]))
