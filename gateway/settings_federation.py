"""The settings of a gateway that is one of several."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from gateway.settings_groups import MIB, Bytes, Count, Group, Seconds, Word

PEER: Final = re.compile(
    r"(?P<gateway>[A-Za-z0-9][A-Za-z0-9-]{0,62})(?:@(?P<region>[A-Za-z0-9-]{1,63}))?"
    r"=(?P<address>[^=\s]+)(?:=(?P<agents>[^=\s]+))?"
)
Several = Annotated[str, Field(min_length=1, max_length=8192, pattern=r"^\S+$")]
"""One or more of something, with commas."""
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$"


class FederationSettings(Group):
    """How the gateway finds others. It stands alone unless `etcd` or `peers` is set."""

    cluster: Annotated[str, Field(pattern=NAME)] = Field(
        default="llmx", description="Name of the cluster; gateways of others are not talked to"
    )
    region: Annotated[str, Field(pattern=NAME)] = Field(
        default="local", description="Region of this gateway"
    )
    etcd: Several | None = Field(
        default=None,
        description="Where etcd listens: `host:port`, several with commas. Gateways that share it "
        "and `cluster` find each other",
    )
    etcd_user: Word | None = Field(default=None, description="User in etcd")
    etcd_password_file: Path | None = Field(
        default=None, description="File with the user's password, on its first line"
    )
    etcd_ca: Path | None = Field(
        default=None, description="PEM file of who signed etcd's certificate; turns TLS on"
    )
    etcd_certificate: Path | None = Field(
        default=None, description="PEM file of this gateway's certificate for etcd"
    )
    etcd_key: Path | None = Field(default=None, description="PEM file of its key")
    lease_seconds: Annotated[int, Field(ge=2, le=3600)] = Field(
        default=5, description="Seconds after which a gateway that died counts as gone"
    )
    peers: Several | None = Field(
        default=None,
        description="The other gateways where there is no etcd: `id@region=host:port`, several "
        "with commas; one more `=host:port` tells where agents connect that are sent there",
    )
    listen: Word | None = Field(
        default="127.0.0.1:0",
        description="Where gateways connect; port 0 takes a free one, none is for `unix` alone; "
        "with etcd, every address of a machine (0.0.0.0) needs `advertise`",
    )
    advertise: Word | None = Field(
        default=None, description="Where the others find `listen`, if that is not what they dial"
    )
    agents_address: Word | None = Field(
        default=None,
        description="What agents that shall move here are told; the server's host and port if none",
    )
    unix: Path | None = Field(
        default=None, description="Unix socket for gateways of the same machine"
    )
    certificate: Path | None = Field(
        default=None,
        description="PEM file for links; its name must be the gateway's id. With key and ca it "
        "turns mutual TLS on. Files that are replaced are read again",
    )
    key: Path | None = Field(default=None, description="PEM file of its key")
    ca: Path | None = Field(
        default=None, description="PEM file of who signs the certificates of gateways"
    )
    heartbeat_seconds: Seconds = Field(
        default=1.0, description="Seconds between two signs of life on a link; three without end it"
    )
    queue_messages_max: Count = Field(
        default=100_000, description="Messages that may wait for one gateway"
    )
    queue_bytes_max: Bytes = Field(
        default=64 * MIB, description="Bytes that may wait for one gateway"
    )
    relay_after_seconds: Seconds = Field(
        default=2.0,
        description="Seconds that two gateways cannot reach each other before others carry what "
        "they have to say",
    )
    regional_topics: Several | None = Field(
        default=None,
        description="Topics that only agents of the same region hear: names, or prefixes as in "
        "`local/*`, with commas",
    )
    awards: Literal["all", "durable", "none"] = Field(
        default="all",
        description="Which awards are written to etcd before they are told, so that none is made "
        "twice whatever crashes",
    )
    awards_seconds: Annotated[int, Field(ge=60, le=7 * 86400)] = Field(
        default=3600, description="Seconds that an award can be found there"
    )

    @property
    def is_on(self) -> bool:
        """Tell whether the gateway is one of several."""
        return self.etcd is not None or self.peers is not None
