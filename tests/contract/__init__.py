"""The rules that every detector is held to, whoever wrote it: found by the registry, checked alike."""
