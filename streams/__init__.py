"""How it flows: a folder a role, and what roles share (config, kafka, operate)."""
