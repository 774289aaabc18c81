"""What a reader raises says why."""

from __future__ import annotations

from schemas.errors import CodecError, RegistryAway
from schemas.outputs import DeadReason


def test_a_codec_error_has_its_reason_and_detail() -> None:
    error = CodecError(DeadReason.EMPTY, "no bytes")

    assert (DeadReason.EMPTY, "no bytes", "EMPTY: no bytes") == (error.reason, error.detail, str(error))


def test_a_registry_that_is_away_is_no_codec_error() -> None:
    assert not issubclass(RegistryAway, CodecError)
