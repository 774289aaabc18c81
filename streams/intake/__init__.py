"""From source topics to `telemetry`: checks, packing, clocks; and what turns foreign formats into ours."""
