"""The files of mutual TLS, read again when somebody has replaced them.

Certificates of gateways live for days or hours, and whoever renews them writes new files in the
place of the old ones. Each handshake looks at the files: what is new and whole counts from then on,
and what cannot be used is said once and does not replace what could. Open streams stay open.
"""

from __future__ import annotations

from pathlib import Path

import grpc
import structlog

from federation.peer_tls import PeerTls

log = structlog.get_logger("llmx.peering")

_Stamp = tuple[tuple[int, int, int], ...]


class PeerTlsFiles:
    """The PEM files of one gateway."""

    def __init__(self, ca: Path, certificate: Path, key: Path) -> None:
        """Read them. Raises OSError when one is not there, ValueError when they cannot be used."""
        self._paths = (ca, certificate, key)
        self._stamp = self._look()
        self._tls = self._read()
        self._fault = ""

    def __repr__(self) -> str:
        """Say where they are."""
        return f"<PeerTlsFiles: {', '.join(map(str, self._paths))}>"

    @property
    def current(self) -> PeerTls:
        """Return what stands in the files, or stood there when it could be used last."""
        try:
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp
                self._tls, self._fault = self._read(), ""
                log.info("certificate read anew", file=str(self._paths[1]))
        except (OSError, ValueError) as fault:
            if str(fault) != self._fault:
                self._fault = str(fault)
                log.warning("certificate cannot be used, the last one counts", fault=self._fault)
        return self._tls

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return credentials of a port that looks at the files when somebody connects."""

        def newer() -> grpc.ServerCertificateConfiguration:
            return _configuration(self.current)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(self.current), newer, require_client_authentication=True
        )

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return credentials of a channel that is opened now."""
        return self.current.channel_credentials()

    def _look(self) -> _Stamp:
        stats = [path.stat() for path in self._paths]
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in stats)

    def _read(self) -> PeerTls:
        # Here, so that a gateway without mutual TLS does not wait for them when it starts.
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        ca, certificate, key = (path.read_bytes() for path in self._paths)
        x509.load_pem_x509_certificates(ca)
        shown = x509.load_pem_x509_certificates(certificate)[0].public_key()
        if load_pem_private_key(key, None).public_key() != shown:
            raise ValueError(f"{self._paths[2]} is not the key of {self._paths[1]}")
        return PeerTls(ca, certificate, key)


def _configuration(tls: PeerTls) -> grpc.ServerCertificateConfiguration:
    pair = (tls.key, tls.certificate)
    return grpc.ssl_server_certificate_configuration([pair], tls.ca)
