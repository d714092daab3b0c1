"""Server reflection, v1 and v1alpha: tools ask for the services and for the descriptors behind them.

The hard idea: v1alpha is v1 under another package name, message by message and number by number. So questions are
answered once, in the classes of whichever version asked, and descriptors go out as they are in the pools.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FileDescriptor
from grpclib.const import Status

from trio_gcs.generated.grpc import reflection_grpc, reflection_pb2, reflection_v1alpha_grpc, reflection_v1alpha_pb2

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool
    from grpclib.server import Stream

ServiceNames = Callable[[], Iterable[str]]


class Descriptors:
    """What can be asked about: the services of a server, and the pools that describe them."""

    def __init__(self, pools: Sequence[DescriptorPool], service_names: ServiceNames) -> None:
        self.service_names = service_names
        self._pools = pools

    def file_named(self, name: str) -> FileDescriptor:
        """Return a file by its path; raises KeyError."""
        return self._first(lambda pool: pool.FindFileByName(name))

    def file_with(self, symbol: str) -> FileDescriptor:
        """Return the file that declares a symbol; raises KeyError."""
        return self._first(lambda pool: pool.FindFileContainingSymbol(symbol))

    def _first(self, look: Callable[[DescriptorPool], FileDescriptor]) -> FileDescriptor:
        for pool in self._pools:
            try:
                return look(pool)
            except KeyError:
                continue
        raise KeyError


class _Conversation:
    """One stream of questions and answers, in the classes of one version."""

    def __init__(self, descriptors: Descriptors, messages: ModuleType) -> None:
        self._descriptors = descriptors
        self._messages = messages
        self._sent: set[str] = set()

    async def hold(self, stream: Stream[Any, Any]) -> None:
        """Answer each question, until the caller has no more."""
        async for question in stream:
            answer = self._messages.ServerReflectionResponse(valid_host=question.host, original_request=question)
            try:
                self._answer(question, answer)
            except KeyError:
                answer.error_response.error_code = Status.NOT_FOUND.value
                answer.error_response.error_message = "not found"
            await stream.send_message(answer)

    def _answer(self, question: Any, answer: Any) -> None:
        known = self._descriptors
        match question.WhichOneof("message_request"):
            case "list_services":
                services = answer.list_services_response.service
                services.extend(self._messages.ServiceResponse(name=name) for name in sorted(known.service_names()))
            case "file_by_filename":
                self._add_files(answer, known.file_named(question.file_by_filename))
            case "file_containing_symbol":
                self._add_files(answer, known.file_with(question.file_containing_symbol))
            case "all_extension_numbers_of_type":
                name = question.all_extension_numbers_of_type
                known.file_with(name)
                answer.all_extension_numbers_response.base_type_name = name
            case "file_containing_extension":
                raise KeyError(question.file_containing_extension.containing_type)
            case _:
                answer.error_response.error_code = Status.INVALID_ARGUMENT.value
                answer.error_response.error_message = "nothing was asked"

    def _add_files(self, answer: Any, file: FileDescriptor) -> None:
        octets = [needed.serialized_pb for needed in self._needed(file)]
        # A caller that asks for a file again gets that one again, but not all that it imports.
        answer.file_descriptor_response.file_descriptor_proto.extend(octets or [file.serialized_pb])

    def _needed(self, file: FileDescriptor) -> Iterator[FileDescriptor]:
        if file.name not in self._sent:
            self._sent.add(file.name)
            yield file
            for imported in file.dependencies:
                yield from self._needed(imported)


class Reflection(reflection_grpc.ServerReflectionBase):
    """grpc.reflection.v1."""

    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors

    async def ServerReflectionInfo(self, stream: Stream[Any, Any]) -> None:
        """Answer questions."""
        await _Conversation(self._descriptors, reflection_pb2).hold(stream)


class ReflectionAlpha(reflection_v1alpha_grpc.ServerReflectionBase):
    """grpc.reflection.v1alpha."""

    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors

    async def ServerReflectionInfo(self, stream: Stream[Any, Any]) -> None:
        """Answer questions."""
        await _Conversation(self._descriptors, reflection_v1alpha_pb2).hold(stream)


def reflection(pools: Sequence[DescriptorPool], service_names: ServiceNames) -> list[Reflection | ReflectionAlpha]:
    """Return both services; `service_names` is asked each time, as `Dispatch.service_names`."""
    descriptors = Descriptors(pools, service_names)
    return [Reflection(descriptors), ReflectionAlpha(descriptors)]
