"""etcd v3 for federation: a small client of our own over grpc.aio.

    EtcdClient      read, write, transactions, leases, observing a prefix through every outage
    Registration    a key that lives as long as this process, with the epoch to fence by
    GroupCommit     transactions that many ask for at once, in few requests

What is said is in `federation.etcd.v1`, generated from proto/federation/etcd/v1: etcd's field
numbers under names of our own, because other clients of etcd in the same process claim its names.
"""

from __future__ import annotations

from federation.etcd.client import EtcdClient, Lease, ServerStatus
from federation.etcd.endpoints import EtcdState, EtcdTls
from federation.etcd.errors import (
    EtcdCompacted,
    EtcdDenied,
    EtcdError,
    EtcdFull,
    EtcdNoLease,
    EtcdRefused,
    EtcdUnavailable,
    EtcdUncertain,
)
from federation.etcd.group_commit import GroupCommit
from federation.etcd.history import Change, Changes, Snapshot
from federation.etcd.registration import Registration
from federation.etcd.transactions import (
    OPERATIONS_MAX,
    Committed,
    Compare,
    Delete,
    Found,
    Get,
    KeyValue,
    Operation,
    Prefix,
    Put,
    Response,
    Transaction,
    WasDeleted,
    WasPut,
    created,
    lease_is,
    modified,
    value_is,
    version,
)

__all__ = [
    "OPERATIONS_MAX",
    "Change",
    "Changes",
    "Committed",
    "Compare",
    "Delete",
    "EtcdClient",
    "EtcdCompacted",
    "EtcdDenied",
    "EtcdError",
    "EtcdFull",
    "EtcdNoLease",
    "EtcdRefused",
    "EtcdState",
    "EtcdTls",
    "EtcdUnavailable",
    "EtcdUncertain",
    "Found",
    "Get",
    "GroupCommit",
    "KeyValue",
    "Lease",
    "Operation",
    "Prefix",
    "Put",
    "Registration",
    "Response",
    "ServerStatus",
    "Snapshot",
    "Transaction",
    "WasDeleted",
    "WasPut",
    "created",
    "lease_is",
    "modified",
    "value_is",
    "version",
]
