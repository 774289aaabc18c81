"""Each story of the clinic tells of the VMs that it makes unavailable, and why."""

import pytest

from schemas.rca import Cause
from streams.simulate.clinic import Clinic
from streams.simulate.clinic_cases import BESIDE, STORIES, Story


@pytest.mark.parametrize("story", [story for story, _ in STORIES])
def test_each_story_has_a_truth(story: Story) -> None:
    clinic = Clinic(1, 6)
    clinic.run(story)

    assert clinic.truth
    assert {known.cause for known in clinic.truth} <= set(Cause)
    assert {known.vm for known in clinic.truth} <= set(clinic.vms)


@pytest.mark.parametrize("beside", BESIDE)
def test_what_goes_on_beside_makes_nothing_unavailable(beside: Story) -> None:
    clinic = Clinic(1, 6)
    clinic.run(beside)

    assert [] == clinic.truth


def test_every_cause_is_among_them() -> None:
    causes = set()
    for story, _ in STORIES:
        clinic = Clinic(1, 6)
        clinic.run(story)
        causes |= {str(known.cause) for known in clinic.truth}

    assert {str(cause) for cause in Cause} == causes
