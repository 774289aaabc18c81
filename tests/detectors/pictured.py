"""The picture after a log."""

from detectors.frames import BatchFrame
from detectors.lanes import Lanes
from detectors.picture import Picture
from schemas.telemetry import Clocks
from tests.kit import Log


def pictured(log: Log) -> Picture:
    """Return the picture after all frames of a log, Clocks too."""
    picture = Picture("c1", Lanes())
    for frame in log.frames:
        if isinstance(frame, BatchFrame):
            picture.fold(frame)
        else:
            assert isinstance(frame.clocks, Clocks)
            for stretch in frame.clocks.stretches:
                picture.lanes.turn(stretch, frame.at_ms)
    return picture
