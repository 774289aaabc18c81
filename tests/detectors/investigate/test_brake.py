"""The brake's size."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.investigate.brake import brake


@pytest.mark.parametrize(
    ("servers", "least"),
    [(1, 3), (2, 3), (3, 3), (5, 4), (16, 6), (49, 11), (50, 11), (128, 17), (1000, 50), (1024, 52)],
)
def test_brake_of_the_sizes_that_the_catalogue_names(servers: int, least: int) -> None:
    """The sizes at which one term takes over from another."""
    assert least == brake(servers)


@pytest.mark.parametrize(("servers", "down_share"), [(1024, 0.013), (128, 0.078)])
def test_no_large_system_of_the_record_trips(servers: int, down_share: float) -> None:
    """The worst moments of the public record stay below the brake."""
    assert math.ceil(down_share * servers) < brake(servers)


def test_a_share_that_binary_fractions_miss_is_exact() -> None:
    """0.07 x 100 is 7; its binary product lies above, and its ceiling is 8."""
    assert math.ceil(0.07 * 100) > 7 == brake(100, share=0.07, root_factor=0)


def test_an_exact_root_is_not_rounded_up() -> None:
    """1.5 x sqrt(16) is 6."""
    assert 6 == brake(16, share=0)


@given(st.integers(0, 20_000))
def test_brake_is_the_formula_and_never_falls_as_clusters_grow(servers: int) -> None:
    """Equal to the formula in decimals where these are not at an edge, and monotonous everywhere."""
    slow = max(3, math.ceil(round(0.05 * servers, 9)), math.ceil(round(1.5 * math.sqrt(servers), 9)))

    assert slow == brake(servers)
    assert brake(servers) <= brake(servers + 1)
