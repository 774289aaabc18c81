"""What it means: the picture of a cluster and the detectors. Pure: frames in, findings out. Imports `schemas` only."""
