"""The engine: frames of one partition in, findings and decisions out; `runner` is pure, `worker` hosts it."""
