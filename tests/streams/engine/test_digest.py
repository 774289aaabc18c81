"""The digest of the code that decides."""

import subprocess
import sys

from streams.engine.digest import DECIDES, ROOT, code_digest


def test_it_is_the_same_in_every_process() -> None:
    command = "from streams.engine.digest import code_digest; print(code_digest())"
    other = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)

    assert code_digest() == other.stdout.strip()
    assert 16 == len(code_digest())
    int(code_digest(), 16)


def test_every_pattern_finds_files_and_no_shell_is_among_them() -> None:
    """What no finding can hang on must not change the digest: each change costs a comparison at the next start."""
    found = {pattern: {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)} for pattern in DECIDES}

    assert [] == [pattern for pattern, files in found.items() if not files]
    everything = set().union(*found.values())
    assert {
        "streams/engine/runner.py",
        "streams/engine/policy.py",
        "detectors/picture.py",
        "schemas/codec.py",
    } <= everything
    assert not [name for name in everything if name.startswith(("streams/cli", "streams/intake", "tests/"))]
