"""The files of mutual TLS: what is new and whole counts, anything else changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from federation.peer_tls_files import PeerTlsFiles
from tests.support.certificates import Authority, Signed


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


class Files:
    """The files of the gateway eu."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.paths = folder / "ca.pem", folder / "eu.pem", folder / "eu.key"
        self.authority = authority
        self.signed = self.replaced()
        self.tls = PeerTlsFiles(*self.paths)

    def replaced(self) -> Signed:
        """Write new ones in the place of those that are there."""
        self.signed = self.authority.signed("eu")
        self.signed.write(self.paths[0].parent, "eu")
        self.paths[0].write_bytes(self.authority.certificate)
        return self.signed


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> Files:
    return Files(tmp_path, authority)


def test_what_was_replaced_is_read_anew_and_only_then(files: Files) -> None:
    first = files.tls.current
    assert files.tls.current is first
    files.replaced()
    assert files.tls.current.certificate == files.signed.certificate != first.certificate
    assert files.tls.current.key == files.signed.key


def test_half_of_a_pair_is_said_once_and_does_not_count(files: Files) -> None:
    before = files.tls.current
    files.paths[1].write_bytes(files.authority.signed("eu").certificate)
    with capture_logs() as logs:
        assert files.tls.current is before is files.tls.current
    assert [line["log_level"] for line in logs] == ["warning"]
    assert "is not the key of" in logs[0]["fault"]
    files.replaced()
    assert files.tls.current.key == files.signed.key, "and when it is whole it counts"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_is_no_pem_changes_nothing(files: Files, number: int) -> None:
    before = files.tls.current
    files.paths[number].write_bytes(b"nonsense")
    assert files.tls.current is before


def test_a_file_that_is_gone_changes_nothing(files: Files) -> None:
    before = files.tls.current
    files.paths[1].unlink()
    with capture_logs() as logs:
        assert files.tls.current is before is files.tls.current
    assert len(logs) == 1
    assert str(files.paths[1]) in repr(files.tls)


def test_files_that_cannot_be_used_are_no_start(files: Files) -> None:
    files.paths[2].write_bytes(files.authority.signed("eu").key)
    with pytest.raises(ValueError, match="is not the key of"):
        PeerTlsFiles(*files.paths)
