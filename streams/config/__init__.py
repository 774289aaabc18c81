"""The configuration: one TOML file, typed, all its errors told at once; and the thresholds, which travel by the log."""
