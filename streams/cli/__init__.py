"""The command line: one file a command group, thin; each imports what it needs only when it runs."""
