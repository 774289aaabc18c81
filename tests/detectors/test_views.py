"""What is remembered, and what its words mean."""

from detectors.picture import signature_of
from schemas.source import GuestEvent


def test_the_same_fault_has_the_same_signature_whatever_names_and_dates_it_tells() -> None:
    def event(code: str, message: str) -> GuestEvent:
        return GuestEvent("e", "c1", "s1", "v1", 1, 0, "START_FAILED", step="cert", error_code=code, message=message)

    assert "cert:E7" == signature_of(event("E7", "anything"))
    assert signature_of(event("", "vm 12 until 2013-02-29")) == signature_of(event("", "vm 9 until 1-2-3"))
