"""Problems: named by source, line and key, with a hint."""

from streams.config.problems import ConfigError, Problem, did_you_mean, dotted


def test_all_problems_are_told_in_order_of_their_lines() -> None:
    error = ConfigError("a.toml", [Problem(9, "b", "late"), Problem(2, "a", "early"), Problem(0, "", "everywhere")])

    assert "a.toml: everywhere\na.toml:2: a: early\na.toml:9: b: late" == str(error)


def test_a_near_word_is_suggested_and_else_the_choices() -> None:
    assert "; did you mean `flush_ms`?" == did_you_mean("flush_m", ["flush_ms", "clocks_s"])
    assert "; known here: clocks_s, flush_ms" == did_you_mean("zzz", ["flush_ms", "clocks_s"])


def test_a_path_is_written_as_a_person_would() -> None:
    assert "intake.foreign[1].topic" == dotted(("intake", "foreign", 1, "topic"))
