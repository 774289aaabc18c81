"""The documentation of configuration fields, read from the source."""

from dataclasses import dataclass, field

from streams.config.documentation import Parameter, parameters, unit_of


@dataclass(frozen=True)
class Sample:
    """A configuration."""

    limit_s: float = 90.0
    """Seconds of
    silence. Source: CATALOGUE."""
    names: tuple[str, ...] = field(default_factory=tuple)
    bare_share: float = 0.2


def test_each_field_comes_with_default_unit_and_text() -> None:
    assert [
        Parameter("limit_s", 90.0, "seconds", "Seconds of silence. Source: CATALOGUE."),
        Parameter("names", (), "", ""),
        Parameter("bare_share", 0.2, "share, 0 to 1", ""),
    ] == parameters(Sample)


def test_a_name_without_a_unit_states_none() -> None:
    assert ("milliseconds", "", "") == (unit_of("flush_ms"), unit_of("s"), unit_of("deny_list"))
