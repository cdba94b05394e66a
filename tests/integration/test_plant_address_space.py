"""Is a simulated press's address space that of OPC 40077? Compared with the official NodeSets, live over a socket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from asyncua import Client, Node, Server, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from contract.vocabulary import PARAMETERS, SIGNALS
from kit.clock import SystemClock
from simulators.plant.certificates import make_certificate
from simulators.plant.companion import INJECTION_GROUP, MOULD_FIELDS, MOULD_GROUP, Companion, load
from simulators.plant.plant import PlantOptions, running_plant
from simulators.plant.press_server import build_press_server
from simulators.press.press import Press
from simulators.press.process import PP_CAP_4CAV

NODESETS = (
    "Opc.Ua.Di.NodeSet2.xml",
    "Opc.Ua.PlasticsRubber.GeneralTypes.NodeSet2.xml",
    "Opc.Ua.PlasticsRubber.IMM2MES.NodeSet2.xml",
)
OWN = "urn:zhisan:opcua:press"
EVENTS_WAIT_S = 20.0

Global = tuple[str, Any]


class Space:
    """A server's nodes, addressed by namespace URI."""

    def __init__(self, server: Server, namespaces: list[str]) -> None:
        self.server = server
        self.namespaces = namespaces

    def node(self, where: Global) -> Node:
        return self.server.get_node(ua.NodeId(where[1], self.namespaces.index(where[0])))

    def place(self, node_id: ua.NodeId) -> Global:
        return self.namespaces[node_id.NamespaceIndex], node_id.Identifier

    async def browse_name(self, node: Node) -> tuple[str, str]:
        name = await node.read_browse_name()
        return self.namespaces[name.NamespaceIndex], name.Name

    async def members(self, node: Node) -> dict[tuple[str, str], "Facts"]:
        """What stands below a node by HasComponent and HasProperty."""
        found = {}
        for reference in await node.get_references(ua.ObjectIds.Aggregates, ua.BrowseDirection.Forward):
            child = self.server.get_node(reference.NodeId)
            found[await self.browse_name(child)] = await self.facts(child, reference)
        return found

    async def facts(self, node: Node, reference: ua.ReferenceDescription) -> "Facts":
        node_class = await node.read_node_class()
        is_variable = node_class == ua.NodeClass.Variable
        rules = await node.get_referenced_nodes(ua.ObjectIds.HasModellingRule, ua.BrowseDirection.Forward)
        type_id = None if node_class == ua.NodeClass.Method else await node.read_type_definition()
        return Facts(
            place=self.place(node.nodeid),
            node_class=node_class,
            reference=self.place(reference.ReferenceTypeId),
            data_type=self.place(await node.read_data_type()) if is_variable else None,
            rank=int(await node.read_value_rank()) if is_variable else None,
            type_definition=None if type_id is None else self.place(type_id),
            rule=rules[0].nodeid.Identifier if rules else None,
        )

    async def bases(self, node: Node) -> list[Node]:
        """A type and its bases, nearest first."""
        found = [node]
        while parents := await found[-1].get_referenced_nodes(ua.ObjectIds.HasSubtype, ua.BrowseDirection.Inverse):
            found.append(parents[0])
        return found


@dataclass(frozen=True, slots=True)
class Facts:
    place: Global
    node_class: ua.NodeClass
    reference: Global
    data_type: Global | None
    rank: int | None
    type_definition: Global | None
    rule: Any


@pytest.fixture(scope="module")
def companion() -> Companion:
    return load()


@pytest.fixture(scope="module")
async def official(shared_data: Path, anyio_backend: str) -> Space:
    folder = shared_data / "opcua"
    if not folder.is_dir():
        pytest.skip(f"no official NodeSets at {folder}")
    server = Server()
    await server.init()
    for name in NODESETS:
        await server.import_xml(folder / name)
    return Space(server, await server.get_namespace_array())


@pytest.fixture(scope="module")
async def ours(companion: Companion, anyio_backend: str) -> Space:
    press = Press("press-01", process=PP_CAP_4CAV, seed=1)
    built = await build_press_server(
        press, companion, host="127.0.0.1", port=0, certificates=None, namespace_shift=3, clock=SystemClock()
    )
    return Space(built._server, await built._server.get_namespace_array())


def standard_types(companion: Companion) -> dict[str, Global]:
    return {
        name: (companion.namespaces[name.split(":")[0]], described.node_id)
        for name, described in companion.types.items()
        if not name.startswith("zh:")
    }


@pytest.mark.anyio
async def test_namespaces_are_the_official_ones(companion: Companion, official: Space, ours: Space) -> None:
    standard = {uri for prefix, uri in companion.namespaces.items() if prefix != "zh"}
    assert standard <= set(official.namespaces)
    assert standard <= set(ours.namespaces)
    assert ours.namespaces.index(OWN) >= 3


@pytest.mark.anyio
async def test_each_type_has_the_official_node_id_name_base_and_abstractness(
    companion: Companion, official: Space, ours: Space
) -> None:
    for name, where in standard_types(companion).items():
        mine, theirs = ours.node(where), official.node(where)
        assert await ours.browse_name(mine) == await official.browse_name(theirs), name
        my_bases = [ours.place(base.nodeid) for base in await ours.bases(mine)]
        assert my_bases == [official.place(base.nodeid) for base in await official.bases(theirs)], name
        attribute = ua.AttributeIds.IsAbstract
        is_abstract = [(await node.read_attribute(attribute)).Value.Value for node in (mine, theirs)]
        assert is_abstract[0] == is_abstract[1], name


@pytest.mark.anyio
async def test_each_member_of_each_type_is_the_official_one(companion: Companion, official: Space, ours: Space) -> None:
    compared = 0
    for name, where in standard_types(companion).items():
        mine, theirs = await ours.members(ours.node(where)), await official.members(official.node(where))
        if not name.startswith("di:"):  # of DI, only the part that the machine needs is offered
            assert set(mine) == set(theirs), name
        for member, facts in mine.items():
            assert facts == theirs[member], f"{name}/{member}"
            compared += 1
            if facts.node_class == ua.NodeClass.Variable:  # EngineeringUnits, EURange
                properties = [await space.members(space.node(facts.place)) for space in (ours, official)]
                assert properties[0] == properties[1], f"{name}/{member}"
    assert compared > 250


@pytest.mark.anyio
async def test_each_data_type_has_the_official_node_id_name_and_definition(
    companion: Companion, official: Space, ours: Space
) -> None:
    wanted = {name: number for name, (number, _) in companion.enums.items()}
    wanted |= {name: structure.node_id for name, structure in companion.structures.items()}
    for name, number in wanted.items():
        where = (companion.namespaces[name.split(":")[0]], number)
        assert await ours.browse_name(ours.node(where)) == await official.browse_name(official.node(where))
        mine, theirs = await definition(ours, where), await definition(official, where)
        assert mine == theirs, name
        assert mine


async def definition(space: Space, where: Global) -> list[tuple[Any, ...]]:
    attribute = await space.node(where).read_attribute(ua.AttributeIds.DataTypeDefinition)
    fields = attribute.Value.Value.Fields
    if isinstance(attribute.Value.Value, ua.EnumDefinition):
        return [(entry.Name, entry.Value) for entry in fields]
    own = [(entry.Name, space.place(entry.DataType), int(entry.ValueRank)) for entry in fields]
    parents = await space.node(where).get_referenced_nodes(ua.ObjectIds.HasSubtype, ua.BrowseDirection.Inverse)
    place = space.place(parents[0].nodeid)
    if place[0] == "http://opcfoundation.org/UA/":
        return own
    base = await definition(space, place)
    return own if own[: len(base)] == base else base + own  # some tools list a base's fields again, some do not


@pytest.mark.anyio
async def test_the_machine_has_every_mandatory_member_of_the_types_it_instantiates(
    companion: Companion, official: Space, ours: Space
) -> None:
    device_set = ours.node((companion.namespaces["di"], 5001))
    (root,) = await device_set.get_children()
    assert await ours.browse_name(root) == (OWN, "IMM_Zhisan_press-01")
    assert ours.place(await root.read_type_definition()) == (companion.namespaces["imm"], 1007)
    assert (await root.read_event_notifier()) == {ua.EventNotifier.SubscribeToEvents}
    assert await missing(official, ours, root, "") == []


async def missing(official: Space, ours: Space, node: Node, path: str) -> list[str]:
    """Paths of mandatory members that an instance lacks or has with another data type, all the way down."""
    found = []
    have = await ours.members(node)
    type_id = await node.read_type_definition()
    place = ours.place(type_id)
    if place[0] not in official.namespaces or place[0] == OWN:
        return []
    for base in await official.bases(official.node(place)):
        for member, facts in (await official.members(base)).items():
            at = f"{path}/{member[1]}"
            if member in have:
                mine = have[member]
                if (mine.data_type, mine.rank, mine.node_class) != (facts.data_type, facts.rank, facts.node_class):
                    found.append(f"{at}: {mine} is not {facts}")
            elif facts.rule == ua.ObjectIds.ModellingRule_Mandatory:
                found.append(at)
    for member, facts in have.items():
        if facts.node_class == ua.NodeClass.Object:
            found += await missing(official, ours, ours.node(facts.place), f"{path}/{member[1]}")
    return found


class Events:
    """Hands events of a subscription on."""

    def __init__(self) -> None:
        self.send, self.receive = anyio.create_memory_object_stream[Any](64)

    def event_notification(self, event: Any) -> None:
        self.send.send_nowait(event)

    def close(self) -> None:
        self.send.close()
        self.receive.close()


async def machine_of(client: Client) -> Node:
    namespaces = await client.get_namespace_array()
    device_set = client.get_node(ua.NodeId(5001, namespaces.index("http://opcfoundation.org/UA/DI/")))
    (root,) = await device_set.get_children()
    return root


@pytest.fixture
async def events() -> AsyncIterator[Events]:
    kept = Events()
    yield kept
    kept.close()


@pytest.mark.anyio
@pytest.mark.parametrize("shift", [0, 4])
async def test_cycle_events_carry_nested_fields_and_the_curves_of_their_counter(events: Events, shift: int) -> None:
    options = PlantOptions(presses=1, speed=40, namespace_shift=shift, first_cycle=500)
    async with running_plant(options) as plant, Client(plant.urls[0]) as client:
        own = await client.get_namespace_index(OWN)
        root = await machine_of(client)
        curves = await root.get_child([f"{own}:ProcessCurves"])
        counter = await curves.get_child([f"{own}:CycleCounter"])
        signals = [await curves.get_child([f"{own}:{name}"]) for name in SIGNALS]
        subscription = await client.create_subscription(20, events)
        await subscription.subscribe_events(root, ua.NodeId(1001, own))
        counters, consistent = [], 0
        with anyio.fail_after(EVENTS_WAIT_S):
            while consistent < 3:
                event = await events.receive.receive()
                fields = {name: value.Value for name, value in event.get_event_props_as_fields_dict().items()}
                before, *samples, after = await client.read_values([counter, *signals, counter])
                counters.append(fields["MachineCycleCounter"])
                assert after >= counters[-1], "curves are written before their event is fired"
                check_fields(fields)
                if before == after == counters[-1]:
                    consistent += 1
                    check_curves(fields, dict(zip(SIGNALS, samples, strict=True)))
        assert counters == list(range(counters[0], counters[0] + len(counters)))
        assert counters[0] >= 500


def check_fields(fields: dict[str, Any]) -> None:
    nested = [name for name in PARAMETERS if name != "CycleTime"]
    values = {name: fields[f"{MOULD_GROUP if name in MOULD_FIELDS else INJECTION_GROUP}/{name}"] for name in nested}
    assert all(isinstance(value, float) for value in values.values())
    assert 15_000 < fields["CycleTime"] < 20_000, "milliseconds"
    assert 500 < values["InjectionTime"] < 1_500, "milliseconds"
    assert 400 < values["SpecificPressureMaximum"] < 1_000, "bar"
    assert fields["JobName"] == PP_CAP_4CAV.job_name
    assert fields["JobGoodPartsCounter"] == 4 * fields["JobCycleCounter"]
    assert fields[f"{INJECTION_GROUP}/CushionStroke/EngineeringUnits"].UnitId == 5066068
    assert fields["SourceName"].startswith("IMM_Zhisan_")


def check_curves(fields: dict[str, Any], curves: dict[str, list[float]]) -> None:
    assert {len(samples) for samples in curves.values()} == {int(fields["CycleTime"] / 2.0)} or all(
        abs(len(samples) - fields["CycleTime"] / 2.0) < 3 for samples in curves.values()
    )
    peak = fields[f"{INJECTION_GROUP}/SpecificPressureMaximum"]
    assert max(curves["InjectionPressure"]) == pytest.approx(peak, rel=0.02)
    cushion = fields[f"{INJECTION_GROUP}/CushionStroke"]
    assert np.min(curves["ScrewPosition"]) == pytest.approx(cushion, abs=0.2)


@pytest.mark.anyio
async def test_counters_move_and_orders_are_refused_by_name(events: Events) -> None:
    async with running_plant(PlantOptions(presses=1, speed=60)) as plant, Client(plant.urls[0]) as client:
        namespaces = await client.get_namespace_array()
        root = await machine_of(client)
        gt = namespaces.index("http://opcfoundation.org/UA/PlasticsRubber/GeneralTypes/")
        imm = namespaces.index("http://opcfoundation.org/UA/PlasticsRubber/IMM2MES/")
        values = await root.get_child([f"{imm}:Jobs", f"{gt}:ActiveJobValues"])
        subscription = await client.create_subscription(20, events)
        await subscription.subscribe_events(root, ua.NodeId(1001, namespaces.index(OWN)))
        with anyio.fail_after(EVENTS_WAIT_S):
            await events.receive.receive()
        assert await (await values.get_child([f"{gt}:JobCycleCounter"])).read_value() >= 1
        assert await (await values.get_child([f"{gt}:LastCycleTime"])).read_value() > 15_000
        with pytest.raises(ua.uaerrors.BadNotSupported):
            await values.call_method(f"{gt}:StartJob")
        await values.call_method(f"{gt}:ResetJobCounters")


@pytest.mark.anyio
async def test_basic256sha256_is_spoken_and_plain_text_is_not(tmp_path: Path, events: Events) -> None:
    uri = "urn:zhisan:test:client"
    mine = make_certificate(tmp_path / "client", "client", uri, datetime.now(UTC))
    options = PlantOptions(presses=1, speed=60, certificates=tmp_path / "plant")
    async with running_plant(options) as plant:
        client = Client(plant.urls[0])
        client.application_uri = uri
        await client.set_security(
            SecurityPolicyBasic256Sha256,
            certificate=mine.certificate,
            private_key=mine.private_key,
            server_certificate=tmp_path / "plant" / "press-01.der",
        )
        async with client:
            own = await client.get_namespace_index(OWN)
            subscription = await client.create_subscription(20, events)
            await subscription.subscribe_events(await machine_of(client), ua.NodeId(1001, own))
            with anyio.fail_after(EVENTS_WAIT_S):
                event = await events.receive.receive()
            assert event.MachineCycleCounter >= 1
        with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
            async with Client(plant.urls[0], timeout=2):
                pytest.fail("a plain client was let in")
