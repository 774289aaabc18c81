"""What waagent would say, said by its own library and nothing of its daemon: `waagent_program.py SOCKET LOG EVERY_S`.

Run by the system's Python, which has the library. Each round it makes a status blob, sends it to rsyslog's socket, and
writes a heartbeat line into the log file, in the agent's own words, until it is ended.
"""

import json
import socket
import sys
import time
import uuid

from azurelinuxagent.common import logger
from azurelinuxagent.common.protocol.restapi import VMStatus
from azurelinuxagent.common.protocol.wire import vm_status_to_v1
from azurelinuxagent.common.version import CURRENT_AGENT


def main(path: str, log_path: str, every_s: float) -> None:
    """Write until ended."""
    logger.add_logger_appender(logger.AppenderType.FILE, logger.LogLevel.INFO, log_path)
    heartbeat_id = str(uuid.uuid4()).upper()
    out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    counter = 0
    while True:
        status = vm_status_to_v1(VMStatus(status="Ready", message="Guest Agent is running"))
        out.sendto(b"<14>waagent-status: " + json.dumps(status).encode(), path)
        debug = f"[DEBUG HeartbeatCounter: {counter};HeartbeatId: {heartbeat_id};DroppedPackets: 0;UpdateGSErrors: 0;]"
        logger.info("[HEARTBEAT] Agent {0} is running as the goal state agent {1}", CURRENT_AGENT, debug)
        counter += 1
        time.sleep(every_s)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
