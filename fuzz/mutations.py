"""How samples are damaged: bytes, texts, numbers and structures of JSON, the same for the same random numbers."""

from __future__ import annotations

import json
import re
import struct
from copy import deepcopy
from random import Random
from typing import Any

MOST_AT_ONCE = 4  # damages of one sample
LONGEST = 1 << 20  # bytes of a damaged sample: larger ones only take time
INTEGERS = (0, 1, -1, 2, 7, 127, 255, 65536, 10**6, 2**31 - 1, -(2**31), 2**24)
REALS = (0.0, -1.0, 1e-300, 1e300, -1e300, float("nan"), float("inf"), float("-inf"), 1e9, 4.2e9, 1e-9, 0.5)
WORDS = (
    b"", b"0", b"-1", b"1e400", b"-1e400", b"nan", b"inf", b"-inf", b"1e-400", b"2147483648", b"9223372036854775808",
    b"1" * 400, b"9" * 5000, b"true", b"none", b"[]", b"{}", b"\0", b"\xff\xfe", b"<a>", b"&lt;", b"&x;", b"]]>",
    b"../../etc", b"a" * 300, b"(" * 3000, b"[" * 3000, b"{" * 3000, b"'", b'"', b"\\", b"%s", b"\n", b"\r",
    b"\xc2\xa0", "²".encode(), "é".encode(), b"1_000", b"0x10", b"1/0", b"pi**9", b"@", b"#", b"=", b":", b",", b";",
    b"   ", b"O", b"Xx", b"D",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2, 3.5, 1e400, -1e400, float("nan"), 10**9, 2**63, 10**400, "", "a", "\0", "a" * 400, [], {},
    [[]], [0], {"a": 1}, "(OH2)100000000", "nan", [1] * 2000,
)  # fmt: skip
TOKEN = re.compile(rb"[^\s,=:<>\[\]{}()'\"]+")


def damaged_bytes(sample: bytes, random: Random) -> bytes:
    """A sample with a few damages that know nothing of what it holds."""
    for _ in range(random.randint(1, MOST_AT_ONCE)):
        sample = random.choice(BINARY)(sample, random)[:LONGEST]
    return sample


def damaged_text(sample: bytes, random: Random) -> bytes:
    """A sample with a few damages of its words, lines and bytes."""
    for _ in range(random.randint(1, MOST_AT_ONCE)):
        sample = random.choice((*TEXTUAL, *TEXTUAL, *BINARY))(sample, random)[:LONGEST]
    return sample


def damaged_json(value: Any, random: Random) -> Any:
    """Nested lists and dictionaries of which one value is another, is gone, or stands twice."""
    place, key = value, None
    while isinstance(place, (dict, list)) and place:
        holder, key = place, random.choice(list(place) if isinstance(place, dict) else range(len(place)))
        place = holder[key]
        if random.random() < 0.3:
            break
    if key is None:
        return deepcopy(random.choice(VALUES))
    kind = random.randrange(4)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key)
    elif kind == 2 and isinstance(place, (int, float)) and not isinstance(place, bool):
        factor = random.choice((-1, 0, 2, 1e9, 1e-9))
        can_grow = random.random() < 0.8 and abs(place) < 1e290  # what was damaged before may be no float any more
        holder[key] = place * factor if can_grow else 10**30
    else:
        holder[key] = deepcopy(random.choice(VALUES))  # or the next case would hold this one's damages
    return value


def damaged_model(sample: bytes, random: Random) -> bytes:
    """A file of arrays whose description is damaged, or whose bytes are."""
    if random.random() < 0.3:
        return damaged_bytes(sample, random)
    length = struct.unpack("<Q", sample[:8])[0]
    header = json.loads(sample[8 : 8 + length])
    if random.random() < 0.25:
        header = damaged_json(header, random)
    else:
        description = json.loads(header["__metadata__"]["beadwise"])
        description.pop("sha256", None)  # or it would be all that is looked at
        for _ in range(random.randint(1, 2)):
            description = damaged_json(description, random)
        header["__metadata__"]["beadwise"] = json.dumps(description)
    body = sample[8 + length :]
    if random.random() < 0.2:
        body = _overwrite(body, random)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def _place(sample: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(sample) + 1)
    return start, min(len(sample), start + int(random.paretovariate(0.8)))


def _flip(sample: bytes, random: Random) -> bytes:
    if not sample:
        return sample
    place = random.randrange(len(sample))
    return sample[:place] + bytes([sample[place] ^ (1 << random.randrange(8))]) + sample[place + 1 :]


def _cut(sample: bytes, random: Random) -> bytes:
    start, end = _place(sample, random)
    return sample[:start] + sample[end:]


def _double(sample: bytes, random: Random) -> bytes:
    start, end = _place(sample, random)
    return sample[:end] + sample[start:end] * random.choice((1, 1, 2, 50)) + sample[end:]


def _insert(sample: bytes, random: Random) -> bytes:
    start, _ = _place(sample, random)
    return (
        sample[:start] + random.choice((random.randbytes(random.randint(1, 16)), random.choice(WORDS))) + sample[start:]
    )


def _end(sample: bytes, random: Random) -> bytes:
    return sample[: random.randrange(len(sample) + 1)]


def _overwrite(sample: bytes, random: Random) -> bytes:
    """A number in place of what is there, most often where numbers stand."""
    if random.random() < 0.5:
        number = struct.pack("<i", random.choice(INTEGERS))
    else:
        number = struct.pack("<d", random.choice(REALS))
    place = random.randrange(len(sample) + 1) // 4 * 4
    return sample[:place] + number + sample[place + len(number) :]


def _token(sample: bytes, random: Random) -> bytes:
    """Another word in place of one."""
    found = list(TOKEN.finditer(sample[:20000]))
    if not found:
        return sample
    one = random.choice(found)
    word = random.choice((random.choice(WORDS), random.choice(found)[0], b"-" + one[0], one[0] * 2))
    return sample[: one.start()] + word + sample[one.end() :]


def _lines(sample: bytes, random: Random) -> bytes:
    """Lines that are gone, stand twice, or are in another order."""
    lines = sample.split(b"\n")
    first, second = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(3)
    if kind == 0:
        lines.pop(first)
    elif kind == 1:
        lines.insert(second, lines[first])
    else:
        lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


BINARY = (_flip, _cut, _double, _insert, _end, _overwrite)
TEXTUAL = (_token, _token, _token, _lines)
