"""Faults that time-outs hide for hours, seen in the frame that shows them (CATALOGUE, Fail fast)."""
