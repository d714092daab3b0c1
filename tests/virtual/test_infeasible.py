"""Where it is configured so, requests that nobody can ever serve fail instead of waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from tests.fakes.autoscaler_world import AutoscalerWorld
from tests.fakes.nodes_world import node_id
from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray import autoscaler_pb2 as pb
from trio_gcs.generated.ray.gcs_pb2 import ResourceDemand, ResourceLoad
from trio_gcs.generated.ray.node_manager_pb2 import CancelLeasesWithResourceShapesReply

CANCEL = "CancelLeasesWithResourceShapes"


@pytest.fixture
async def world(nursery: trio.Nursery) -> AsyncIterator[AutoscalerWorld]:
    world = AutoscalerWorld(infeasible_tasks_fail_early=True)
    await nursery.start(world.ledger.serve)
    world.join(1, 2)
    world.raylets.script(CANCEL, CancelLeasesWithResourceShapesReply())
    yield world
    nursery.cancel_scope.cancel()


def wait_for(world: AutoscalerWorld, number: int, *demands: tuple[dict[str, float], int]) -> None:
    load = ResourceLoad(
        resource_demands=[
            ResourceDemand(shape=shape, num_infeasible_requests_queued=count, num_ready_requests_queued=5)
            for shape, count in demands
        ]
    )
    world.pull(number, resource_load_by_shape=load)


async def report(world: AutoscalerWorld, version: int, *shapes: dict[str, float]) -> None:
    infeasible = [pb.ResourceRequest(resources_bundle=shape) for shape in shapes]
    world.autoscaler.report(
        pb.AutoscalingState(autoscaler_state_version=version, infeasible_resource_requests=infeasible)
    )
    await trio.testing.wait_all_tasks_blocked()


def cancelled(world: AutoscalerWorld) -> dict[bytes, list[dict[str, float]]]:
    return {
        call.peer: [dict(shape.resource_shape) for shape in call.request.resource_shapes]
        for call in world.raylets.calls
        if call.method == CANCEL
    }


async def test_each_raylet_cancels_exactly_what_the_autoscaler_gave_up_on(world: AutoscalerWorld) -> None:
    wait_for(world, 1, ({"CPU": 99}, 1), ({"CPU": 98}, 1), ({"CPU": 99, "GPU": 1}, 1), ({"TPU": 1}, 0))
    wait_for(world, 2, ({"CPU": 50}, 1))
    await report(world, 1, {"CPU": 99}, {"TPU": 1})
    assert cancelled(world) == {node_id(1): [{"CPU": 99}]}
    assert world.errors() == []


async def test_it_is_asked_again_with_each_report_even_an_old_one(world: AutoscalerWorld) -> None:
    world.raylets.script(CANCEL, RemoteError(14, "away"))
    wait_for(world, 1, ({"CPU": 99}, 1))
    await report(world, 5, {"CPU": 99})
    await report(world, 4)
    assert len(world.raylets.calls) == 2


async def test_without_it_nothing_is_cancelled(nursery: trio.Nursery) -> None:
    world = AutoscalerWorld()
    await nursery.start(world.ledger.serve)
    world.join(1)
    wait_for(world, 1, ({"CPU": 99}, 1))
    await report(world, 1, {"CPU": 99})
    assert world.raylets.calls == []
    assert len(world.errors()) == 1
    nursery.cancel_scope.cancel()
