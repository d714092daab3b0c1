"""A record of Ray as people read it: Ray's names of fields, bytes in hex, enums by name, nothing that is not set."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

Plain = dict[str, object]


def plain(message: Any) -> Plain:
    """The record as what JSON can say."""
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field: FieldDescriptor, value: Any) -> object:
    entry = field.message_type if field.message_type is not None and field.message_type.GetOptions().map_entry else None
    if entry is not None:
        of_one = _teller(entry.fields_by_name["value"])
        return {_key(key): of_one(each) for key, each in value.items()}
    of_one = _teller(field)
    return [of_one(each) for each in value] if field.is_repeated else of_one(value)


def _teller(field: FieldDescriptor) -> Callable[[Any], object]:
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return plain
    if field.type == FieldDescriptor.TYPE_BYTES:
        return bytes.hex
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        assert field.enum_type is not None, "an enum has names"
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return lambda number: names.get(number, number)
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return lambda number: number if math.isfinite(number) else str(number)  # JSON has no infinity
    return lambda value: value


def _key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)
