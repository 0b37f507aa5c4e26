"""One gateway process of a simulated cluster, with the parts that decide what it may tell.

The table, the shard, the gate of awards, the fence and the membership are the product's own. What
carries things is the world's: what the process does with etcd, links and agents is in few lines
here, and takes the time that the world draws. While it is frozen, everything that comes waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from federation.award_log import Entry, award_that_stands, proposal
from federation.etcd.transactions import Committed, Delete, KeyValue, Put, Transaction
from federation.fencing import NEVER, Fence, Word
from federation.membership import PREFIX, MemberInfo, Membership, read, written
from federation.peer_states import UNHEARD, PeerView
from federation.placement import gateway_of, heir_of
from gateway.awards import AwardGate
from policy.acceptance import PROFILES
from policy.call import Call
from policy.effects import Effect, Finish, Tell
from policy.events import Event, OfferReceived
from policy.shard import Shard
from policy.table import Record, Table
from tests.support.etcd_store import EtcdStore

if TYPE_CHECKING:
    from tests.simulation.ownership_world import World
