"""What the claims about actors share: a cluster of a node, an owner and a worker, and actors on their way through it."""

from __future__ import annotations

from tests.differential.gcs import Gcs, Pending
from tests.differential.peers import Call, Raylet, Worker
from trio_gcs.generated.ray.common_pb2 import TaskSpec
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply
from trio_gcs.generated.ray.node_manager_pb2 import RequestWorkerLeaseReply

ACTOR_CREATION = 1
ACTOR_CHANNEL = 2
KILL, WORKER_DIED = "KillLocalActor", "WorkerDied"


def spec_of(
    gcs: Gcs,
    name: str = "actor",
    *,
    owner: Worker,
    job: str = "job",
    restarts: int = 0,
    detached: bool = False,
    called: str = "",
    namespace: str = "ns",
    resources: dict[str, float] | None = None,
    **fields: object,
) -> TaskSpec:
    """The creation task of an actor of this name."""
    job_id = gcs.job_id(job)
    actor_id = gcs.actor_id(name, job_id)
    return TaskSpec(
        type=ACTOR_CREATION,
        name=f"{name}.__init__",
        job_id=job_id,
        task_id=gcs.names.give(b"\xff" * 8 + actor_id, f"creation of {name}"),
        caller_address=owner.address,
        required_resources={"CPU": 1.0} if resources is None else resources,
        function_descriptor={
            "python_function_descriptor": {"module_name": "m", "class_name": "C", "function_name": "f"}
        },
        actor_creation_task_spec={
            "actor_id": actor_id,
            "max_actor_restarts": restarts,
            "is_detached": detached,
            "name": called,
            "ray_namespace": namespace,
        },
        **fields,
    )


def id_of(spec: TaskSpec) -> bytes:
    return bytes(spec.actor_creation_task_spec.actor_id)


class Cluster:
    """One node, a worker on it that owns, and as many workers for actors as asked for."""

    def __init__(self, gcs: Gcs) -> None:
        self.gcs = gcs
        self.node: Raylet = gcs.node("node")
        self.owner: Worker = gcs.worker("owner", self.node)
        self._creating: dict[bytes, Pending] = {}

    def register(self, spec: TaskSpec) -> TaskSpec:
        self.gcs.actors.RegisterActor.quiet(task_spec=spec)
        return spec

    def create(self, spec: TaskSpec) -> Pending:
        """Register it, and send CreateActor."""
        self.register(spec)
        return self.gcs.actors.CreateActor.start(task_spec=spec)

    def lease(self, *, raylet: Raylet | None = None, show: bool = False) -> Call:
        """The next request for a worker."""
        return (raylet or self.node).take("RequestWorkerLease", show=show)

    def grant(self, worker: Worker, *, raylet: Raylet | None = None, show: bool = False) -> Call:
        """Answer the next request for a worker; returns the task that is then pushed to it."""
        self.lease(raylet=raylet, show=show).answer(
            RequestWorkerLeaseReply(worker_address=worker.address, worker_pid=77)
        )
        return worker.take("PushTask", show=show)

    def alive(self, spec: TaskSpec, worker: Worker | None = None, *, show: bool = False) -> Worker:
        """Bring an actor to life."""
        worker = worker or self.gcs.worker("worker", self.node)
        created = self.create(spec)
        self.grant(worker, show=show).answer(PushTaskReply(actor_repr_name="«repr»"))
        created.result(show=show)
        return worker

    def again(self, worker: Worker) -> None:
        """Let an actor that restarts have this worker."""
        self.grant(worker).answer(PushTaskReply())

    def show(self, spec: TaskSpec) -> None:
        """Write down what is told of an actor."""
        self.gcs.actors.GetActorInfo(actor_id=id_of(spec))

    def show_named(self, name: str) -> None:
        """Write down what is told of the actor that has a name."""
        self.gcs.actors.GetNamedActorInfo(name=name, ray_namespace="ns")

    def state(self, spec: TaskSpec) -> int:
        """The state of an actor, or -1."""
        reply = self.gcs.actors.GetActorInfo.quiet(actor_id=id_of(spec))
        return reply.actor_table_data.state if reply.HasField("actor_table_data") else -1

    def until(self, spec: TaskSpec, state: int) -> None:
        self.gcs.until(lambda: self.state(spec) == state, f"the actor is in state {state}")

    def lose(self, worker: Worker, exit_type: int = 0, **fields: object) -> None:
        self.gcs.fail_worker(worker, exit_type, **fields)
