"""Mistakes that somebody could make in the directory, each planted in a copy of a real part.

A simulation that passes says something only if it fails on these.
"""

from __future__ import annotations

from federation import directory as directory_module
from federation.announcer import Announcer, Changes
from federation.commons import Commons, GroupAt, SchemaAt
from federation.directory import Applied, Directory, Place
from federation.entries import AgentAt
from federation.regional_topics import RegionalTopics
from llmx.v1.peering_pb2 import DirectoryUpdate

_Home = directory_module._Home


class ForgetsTheLowerHome(Directory):
    def _fall_back(self, entry: AgentAt, applied: Applied) -> None:
        del self._tenants[entry.tenant][entry.agent_id]
        applied.vanished.append(entry)

    def _remove(self, home: _Home, tenant: str, agent_id: str, applied: Applied) -> None:
        known = home.remove(tenant, agent_id)
        if known is not None and self._tenants[tenant].get(agent_id) is known:
            self._fall_back(known, applied)


class BelievesTheLowestHome(Directory):
    def _fall_back(self, entry: AgentAt, applied: Applied) -> None:
        told = [home.entry(entry.tenant, entry.agent_id) for home in self._homes.values()]
        lowest = min((one for one in told if one is not None), key=lambda e: e.rank, default=None)
        if lowest is None:
            super()._fall_back(entry, applied)
        else:
            self._tenants[entry.tenant][entry.agent_id] = lowest
            applied.changed.append(lowest)


class KeepsWhatIsGone(Directory):
    def forget(self, gateway_id: str) -> Applied:
        self._commons.adopt(gateway_id)
        return Applied([], [], [], [], [])


class IgnoresWhoLeaves(Directory):
    def _remove(self, home: _Home, tenant: str, agent_id: str, applied: Applied) -> None:
        """Hear nothing."""


class HearsALowerHomeAloud(Directory):
    def _put(self, home: _Home, entry: AgentAt, applied: Applied) -> None:
        said = len(applied.appeared) + len(applied.changed)
        super()._put(home, entry, applied)
        if said == len(applied.appeared) + len(applied.changed):
            applied.changed.append(entry)


class SweepsNothing(_Home):
    def end_snapshot(self) -> list[AgentAt]:
        super().end_snapshot()
        return []


class SweepsWhatWasRepeated(_Home):
    def repeat(self, entry: AgentAt) -> None:
        """Take no notice."""


class SeesNoGap(_Home):
    def place(self, update: DirectoryUpdate) -> Place:
        place = super().place(update)
        return Place.NEXT if place is Place.GAP else place


class AsksOnlyOnce(_Home):
    def turn_to(self, place: Place, number: int) -> bool:
        was_asked = self.is_asked
        is_missing = super().turn_to(place, number)
        return is_missing and not was_asked


class BelievesCutSnapshots(_Home):
    """Takes what comes next for the end of a snapshot that has lost its end."""

    def turn_to(self, place: Place, number: int) -> bool:
        was_cut = self._stale is not None and place in (Place.CHECK, Place.GAP)
        is_missing = super().turn_to(place, number)
        return is_missing and not was_cut


class TellsNoDigest(Announcer):
    def check(self, region: str) -> DirectoryUpdate:
        return DirectoryUpdate(number=super().check(region).number)

    def drain(self) -> Changes:
        changes = super().drain()
        for update in (*changes.near, *changes.far):
            update.digest = 0
        return changes


class TellsNoNumberInChecks(Announcer):
    def check(self, region: str) -> DirectoryUpdate:
        return DirectoryUpdate()


class ChecksTooEarly(Announcer):
    def check(self, region: str) -> DirectoryUpdate:
        check = super().check(region)
        check.digest = self.digest(region)
        return check


class TellsAllRegionsAlike(Announcer):
    def __init__(
        self, gateway_id: str, region: str, commons: Commons, regional: object, bytes_max: int
    ) -> None:
        super().__init__(gateway_id, region, commons, None, bytes_max)


class TellsNothingRegional(Announcer):
    def __init__(
        self,
        gateway_id: str,
        region: str,
        commons: Commons,
        regional: RegionalTopics | None,
        bytes_max: int,
    ) -> None:
        super().__init__(gateway_id, "nowhere", commons, regional, bytes_max)


class TellsNotOfThoseWhoLeft(Announcer):
    def remove(self, tenant: str, agent_id: str) -> bool:
        is_known = super().remove(tenant, agent_id)
        for telling in self._tellings():
            telling.due.pop((tenant, agent_id), None)
        return is_known


class CountsSnapshots(Announcer):
    def snapshot(self, region: str) -> list[DirectoryUpdate]:
        self._telling(region).number += 1
        return super().snapshot(region)


class ForgetsInSnapshotsWhatIsDue(Announcer):
    def snapshot(self, region: str) -> list[DirectoryUpdate]:
        updates = super().snapshot(region)
        self.drain()
        return updates


class PutsNoLaterThanItsClock(Commons):
    def put_group(
        self, tenant: str, group_id: str, owner: str, members: object, now: int
    ) -> GroupAt:
        assert isinstance(members, tuple)
        group = GroupAt(tenant, group_id, owner, members, now)
        self._keep_group(group, self._own)
        return group


class BelievesTheLastVersion(Commons):
    def hear_group(self, group: GroupAt, teller: str) -> bool:
        known = self._groups.get((group.tenant, group.group_id))
        if known == group:
            return False
        self._keep_group(group, teller)
        return True


class BringsGroupsBack(Commons):
    def hear_group(self, group: GroupAt, teller: str) -> bool:
        known = self._groups.get((group.tenant, group.group_id))
        if known is not None and not known.members:
            del self._groups[group.tenant, group.group_id]
        return super().hear_group(group, teller)


class AdoptsNothing(Commons):
    def adopt(self, teller: str) -> None:
        """Leave what it told without a teller."""


class AdoptsInSilence(Commons):
    def adopt(self, teller: str) -> None:
        groups, schemas = self._groups_due.copy(), self._schemas_due.copy()
        super().adopt(teller)
        self._groups_due, self._schemas_due = groups, schemas


class ForgetsSchemasForNewcomers(Commons):
    def told_from_here(self) -> tuple[list[GroupAt], list[SchemaAt]]:
        return super().told_from_here()[0], []


def _rank_by_generation_alone(entry: AgentAt) -> tuple[int, str]:
    return (entry.generation, "")


def _rank_by_home_alone(entry: AgentAt) -> tuple[int, str]:
    return (0, entry.home)


MUTANTS: dict[str, tuple[str, object]] = {
    "RanksByGenerationAlone": (
        "federation.entries.AgentAt.rank",
        property(_rank_by_generation_alone),
    ),
    "RanksByHomeAlone": ("federation.entries.AgentAt.rank", property(_rank_by_home_alone)),
    **{
        mistake.__name__: (part, mistake)
        for part, mistakes in (
            (
                "tests.simulation.directory_side.Directory",
                (
                    ForgetsTheLowerHome,
                    BelievesTheLowestHome,
                    KeepsWhatIsGone,
                    IgnoresWhoLeaves,
                    HearsALowerHomeAloud,
                ),
            ),
            (
                "federation.directory._Home",
                (
                    SweepsNothing,
                    SweepsWhatWasRepeated,
                    SeesNoGap,
                    AsksOnlyOnce,
                    BelievesCutSnapshots,
                ),
            ),
            (
                "tests.simulation.directory_side.Announcer",
                (
                    TellsNoDigest,
                    TellsNoNumberInChecks,
                    ChecksTooEarly,
                    TellsAllRegionsAlike,
                    TellsNothingRegional,
                    TellsNotOfThoseWhoLeft,
                    CountsSnapshots,
                    ForgetsInSnapshotsWhatIsDue,
                ),
            ),
            (
                "tests.simulation.directory_side.Commons",
                (
                    PutsNoLaterThanItsClock,
                    BelievesTheLastVersion,
                    BringsGroupsBack,
                    AdoptsNothing,
                    AdoptsInSilence,
                    ForgetsSchemasForNewcomers,
                ),
            ),
        )
        for mistake in mistakes
    },
}
"""By name: what is replaced, and by what."""
