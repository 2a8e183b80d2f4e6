"""Parameters for a call, made from the model: what is required, as short as its type, pattern and list allow."""

import re
import re._constants as kinds
import re._parser as expressions
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape

ACCOUNT = "123456789012"
DEEPEST = 8
# Where a pattern allows more than the cloud would.
BY_NAME = {"accountid": ACCOUNT, "awsaccountid": ACCOUNT, "bucket": "a-bucket", "bucketname": "a-bucket"}


def parameters(operation: OperationModel) -> dict[str, Any]:
    return structure(operation.input_shape, 0) if operation.input_shape else {}


def weight(operation: OperationModel) -> int:
    """How much has to be made up for a call."""
    return len(str(parameters(operation))) if operation.input_shape else 0


def structure(shape: StructureShape, depth: int) -> dict[str, Any]:
    needed = list(shape.required_members)
    # Of a union exactly one member is given.
    if getattr(shape, "is_tagged_union", False):
        needed = list(shape.members)[:1]
    # What stands in the path or the host has to be there, required or not.
    needed += [
        name
        for name, member in shape.members.items()
        if name not in needed
        and (member.serialization.get("location") == "uri" or member.serialization.get("hostLabel"))
    ]
    return {name: value(shape.members[name], name, depth + 1) for name in needed}


def value(shape: Shape, name: str, depth: int) -> Any:
    if isinstance(shape, StructureShape):
        if shape.is_document_type:
            return {}
        return structure(shape, depth) if depth < DEEPEST else {}
    if isinstance(shape, ListShape):
        return [value(shape.member, name, depth + 1)] * max(1, shape.metadata.get("min", 1)) if depth < DEEPEST else []
    if isinstance(shape, MapShape):
        return {value(shape.key, "", depth + 1): value(shape.value, "", depth + 1)} if depth < DEEPEST else {}
    if isinstance(shape, StringShape):
        return text(shape, name)
    low = shape.metadata.get("min", 1)
    return {
        "blob": b"x" * max(1, int(low)),
        "boolean": True,
        "double": float(low),
        "float": float(low),
        "integer": int(low),
        "long": int(low),
        "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    }[shape.type_name]


def text(shape: StringShape, name: str) -> str:
    if shape.enum:
        return shape.enum[0]
    if name.lower() in BY_NAME:
        return BY_NAME[name.lower()]
    least = int(shape.metadata.get("min", 1) or 1)
    pattern = shape.metadata.get("pattern", "")
    for made in (matching(pattern, least), "a" * max(least, 1)):
        if made and len(made) >= least and fits(pattern, made):
            return made
    if name.lower().endswith("arn"):
        return f"arn:aws:service:us-east-1:{ACCOUNT}:thing/a"
    return "a" * least


def fits(pattern: str, made: str) -> bool:
    try:
        return not pattern or re.search(pattern, made) is not None
    except re.error:  # Java's expressions know classes that Python's don't
        return True


def matching(pattern: str, least: int) -> str | None:
    """The plainest text that the expression allows; None where it can't be read."""
    try:
        parsed = expressions.parse(pattern)
    except re.error:
        return None
    short = "".join(_sample(part, 0) for part in parsed)
    return short if len(short) >= least else "".join(_sample(part, least) for part in parsed)


def _sample(part: tuple, least: int) -> str:
    kind, given = part
    if kind is kinds.LITERAL:
        return chr(given)
    if kind is kinds.NOT_LITERAL:
        return "b" if given == ord("a") else "a"
    if kind is kinds.ANY:
        return "a"
    if kind is kinds.IN:
        return _one_of(given)
    if kind is kinds.BRANCH:
        return "".join(_sample(inner, least) for inner in given[1][0])
    if kind is kinds.SUBPATTERN:
        return "".join(_sample(inner, least) for inner in given[3])
    if kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT):
        low, high, inner = given
        times = min(max(low, least), int(high)) if least else low
        return "".join(_sample(piece, 0) for piece in inner) * times
    return ""  # an anchor, or a look around


def _one_of(choices: list) -> str:
    """A letter or a figure if it may be one."""
    if choices[0][0] is kinds.NEGATE:
        return next(letter for letter in "ab01-_" if not re.match(_class(choices[1:]), letter))
    allowed = _class(choices)
    for letter in "abcdef0123456789ABCDEF":
        if re.match(allowed, letter):
            return letter
    kind, given = choices[0]
    return chr(given if kind is kinds.LITERAL else given[0]) if kind in (kinds.LITERAL, kinds.RANGE) else "a"


CATEGORIES = {
    kinds.CATEGORY_DIGIT: r"\d",
    kinds.CATEGORY_NOT_DIGIT: r"\D",
    kinds.CATEGORY_SPACE: r"\s",
    kinds.CATEGORY_NOT_SPACE: r"\S",
    kinds.CATEGORY_WORD: r"\w",
    kinds.CATEGORY_NOT_WORD: r"\W",
}


def _class(choices: list) -> str:
    parts = []
    for kind, given in choices:
        if kind is kinds.LITERAL:
            parts.append(re.escape(chr(given)))
        elif kind is kinds.RANGE:
            parts.append(f"{re.escape(chr(given[0]))}-{re.escape(chr(given[1]))}")
        elif kind is kinds.CATEGORY:
            parts.append(CATEGORIES[given])
    return f"[{''.join(parts)}]"
