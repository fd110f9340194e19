"""Images as Foxglove's standard messages, `foxglove.RawImage` and `foxglove.CompressedImage`, in Protobuf.

Names, numbers and types of the fields are those of Foxglove's published schemas (docs.foxglove.dev, MIT licence).
"""

from functools import cache
from typing import Any, Literal

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

from capture import wire

ImageSchema = Literal["RawImage", "CompressedImage"]
SCHEMA_OF: dict[wire.Format, ImageSchema] = {"rgb8": "RawImage", "gray8": "RawImage", "jpeg": "CompressedImage"}
_ENCODING_OF = {"rgb8": "rgb8", "gray8": "mono8"}
_FIELDS: dict[ImageSchema, list[tuple[str, int, str]]] = {
    "RawImage": [
        ("timestamp", 1, "message"),
        ("frame_id", 7, "string"),
        ("width", 2, "fixed32"),
        ("height", 3, "fixed32"),
        ("encoding", 4, "string"),
        ("step", 5, "fixed32"),
        ("data", 6, "bytes"),
    ],
    "CompressedImage": [
        ("timestamp", 1, "message"),
        ("frame_id", 4, "string"),
        ("data", 2, "bytes"),
        ("format", 3, "string"),
    ],
}
"""Name, number and type of each field."""


def encode_image(packet: wire.Packet, time_ns: int) -> bytes:
    """The message of a frame's payload, as it was sent; `time_ns` is what Foxglove shows as its time."""
    header = packet.header
    assert isinstance(header, wire.FrameHeader)
    schema = SCHEMA_OF[header.format]
    message = _classes()[schema](
        timestamp={"seconds": time_ns // 10**9, "nanos": time_ns % 10**9},
        frame_id=header.view,
    )
    if schema == "CompressedImage":
        message.format = "jpeg"
    else:
        message.width, message.height, message.encoding = header.width, header.height, _ENCODING_OF[header.format]
        message.step = header.width * (3 if header.format == "rgb8" else 1)
    # The payload is appended as it is: the library would copy it twice. Fields may stand in any order.
    number = next(number for name, number, _ in _FIELDS[schema] if name == "data")
    return b"".join([message.SerializeToString(), bytes([number << 3 | 2]), _varint(len(packet.payload)), packet.payload])


def decode_image(schema: ImageSchema, data: bytes) -> bytes:
    """A frame's payload. Raises google.protobuf's DecodeError."""
    return _classes()[schema].FromString(data).data


def image_schema(schema: ImageSchema) -> bytes:
    """What the messages are made of: a FileDescriptorSet with all that it refers to."""
    timestamp = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(timestamp)
    return descriptor_pb2.FileDescriptorSet(file=[timestamp, _file(schema)]).SerializeToString()


def json_schema(kind: type[msgspec.Struct]) -> bytes:
    """A JSON Schema of nothing but objects, arrays, numbers, strings and booleans, which every reader understands."""
    schema = msgspec.json.schema(kind)
    return msgspec.json.encode(_plain(schema, schema.get("$defs", {})))


def _plain(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return _plain(definitions[node["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in node:
        # A value that may be missing is described as what it is where it is there.
        return _plain(next(each for each in node["anyOf"] if each.get("type") != "null"), definitions)
    plain: dict[str, Any] = {key: node[key] for key in ("type", "description", "enum") if key in node}
    if "enum" in node:
        plain["type"] = "string"
    if "properties" in node:
        plain["properties"] = {name: _plain(each, definitions) for name, each in node["properties"].items()}
    if "items" in node or "prefixItems" in node:
        plain["items"] = _plain(node["items"] if node.get("items") else node["prefixItems"][0], definitions)
    return plain


def _varint(value: int) -> bytes:
    """Protobuf's integers: seven bits a byte, the lowest first, the highest bit set where more follow."""
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    digits.append(value)
    return bytes(digits)


@cache
def _classes() -> dict[ImageSchema, Any]:
    pool = descriptor_pool.DescriptorPool()
    timestamp = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(timestamp)
    pool.Add(timestamp)
    for schema in _FIELDS:
        pool.Add(_file(schema))
    return {schema: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"foxglove.{schema}")) for schema in _FIELDS}


def _file(schema: ImageSchema) -> descriptor_pb2.FileDescriptorProto:
    Field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name=f"foxglove/{schema}.proto", package="foxglove", syntax="proto3", dependency=["google/protobuf/timestamp.proto"]
    )
    message = file.message_type.add(name=schema)
    for name, number, kind in _FIELDS[schema]:
        field = message.field.add(name=name, number=number, label=Field.LABEL_OPTIONAL)
        field.type = Field.Type.Value(f"TYPE_{kind.upper()}")
        if kind == "message":
            field.type_name = ".google.protobuf.Timestamp"
    return file
