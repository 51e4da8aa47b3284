"""HTTP/2 as a peer of the edge sees it: frames out as a scenario says, frames in as they come.

Nothing here decides whether the edge is right. A scenario does something and returns what it saw; the journey that
started it compares. `play` runs the scenario that the command line names and prints its findings as one line of JSON.
"""

import json
import select
import socket
import ssl
import struct
import sys
import threading
import time
import traceback

from hpack import Decoder, Encoder

# Only ends a program that would otherwise hang; nothing passes or fails by being a little late.
PATIENCE = 40.0

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 0x10
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITIZED = 0x20

TABLE_SIZE, ENABLE_PUSH, STREAMS_MAX, INITIAL_WINDOW, FRAME_SIZE, LIST_SIZE = range(1, 7)
CONNECT_PROTOCOL = 0x8

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, \
    REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(12)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """A frame's bytes; `length` lies about its payload."""
    length = len(payload) if length is None else length
    return struct.pack(">I", length)[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def settings(values=(), flags=0, stream=0):
    return frame(SETTINGS, flags, stream, b"".join(struct.pack(">HI", key, value) for key, value in values))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def rst_stream(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def priority_update(stream, value):
    return frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", stream) + value.encode())


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


class Reply:
    """What came on one stream."""

    def __init__(self):
        self.status = None
        self.fields = []
        self.interim = []
        self.trailers = None
        self.body = bytearray()
        # Payloads of DATA as they came, for who cares about frames.
        self.pieces = []
        self.reset = None
        self.ended = False

    def field(self, name):
        return next((value for key, value in self.fields if key == name), None)

    @property
    def is_over(self):
        return self.ended or self.reset is not None

    def as_json(self, body=True):
        return {
            "status": self.status or 0, "fields": self.fields, "interim": self.interim, "trailers": self.trailers or [],
            "body": self.body.decode("latin-1") if body else "", "count": len(self.body),
            "reset": -1 if self.reset is None else self.reset, "ended": self.ended,
        }


class Client:
    """One connection to the edge.

    By itself it acknowledges SETTINGS, answers PING and, unless `credits` is false, gives back the credit of DATA.
    """

    def __init__(self, port, tls=False, name="example.test", credits=True, announces=(), begins=True, source=None,
                 receive_buffer=None):
        self.name = name
        self.scheme = "https" if tls else "http"
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.alpn = None
        if tls:
            self.socket = secured(self.socket, name, ["h2", "http/1.1"])
            self.alpn = self.socket.selected_alpn_protocol()
        self.credits = credits
        # What is yet to be written; whether somebody writes it now; whether nothing is read while it is.
        self.outbox, self.is_flushing, self.is_deaf = bytearray(), False, False
        self.encoder, self.decoder = Encoder(), Decoder()
        self.decoder.max_header_list_size = 1 << 24
        self.unread = b""
        self.next_stream = 1
        self.replies = {}
        self.block = None
        # (kind, flags, stream, payload's length) of everything that came.
        self.trace = []
        self.settings = None
        self.goaways = []
        self.pongs = []
        self.closed = False
        self.window, self.windows, self.initial_window = 65535, {}, 65535
        if begins:
            self.send(PREFACE + settings(announces))

    # What goes out

    def send(self, data):
        """Writes all of it, taking in what comes meanwhile: an edge that waits for us to read would never read."""
        self.outbox += data
        if not self.is_flushing:
            self.is_flushing = True
            try:
                self.flush()
            finally:
                self.is_flushing = False

    def flush(self):
        end = time.monotonic() + PATIENCE
        while self.outbox and not self.closed:
            self.socket.setblocking(False)
            try:
                del self.outbox[:self.socket.send(bytes(self.outbox[:65536]))]
                end = time.monotonic() + PATIENCE
                continue
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                pass
            except (OSError, ssl.SSLError):
                # What the edge said last may still lie there.
                while not self.closed and self.absorb(1):
                    pass
                self.closed = True
                break
            if time.monotonic() > end:
                raise TimeoutError("the edge takes no bytes")
            readable, _, _ = select.select([self.socket], [self.socket], [], 1)
            if readable and not self.is_deaf:
                self.absorb(0)
        if self.closed:
            self.outbox.clear()

    def fields(self, method="GET", path="/", authority=None, extra=()):
        head = [(":method", method), (":scheme", self.scheme), (":authority", authority or self.name), (":path", path)]
        return head + list(extra)

    def encode(self, fields, huffman=True):
        return self.encoder.encode([(as_bytes(name), as_bytes(value)) for name, value in fields], huffman=huffman)

    def open(self):
        stream = self.next_stream
        self.next_stream += 2
        self.begin(stream)
        return stream

    def begin(self, stream):
        self.replies[stream] = Reply()
        self.windows[stream] = self.initial_window

    def head(self, stream, fields, ends=True):
        """HEADERS, and CONTINUATION where the block is larger than a frame."""
        block = self.encode(fields)
        pieces = [block[at:at + 16384] for at in range(0, len(block), 16384)] or [b""]
        out = b""
        for index, piece in enumerate(pieces):
            flags = END_HEADERS if index == len(pieces) - 1 else 0
            out += frame(CONTINUATION if index else HEADERS, flags | (END_STREAM if ends and not index else 0), stream,
                         piece)
        self.send(out)

    def request(self, path="/", *extra, method="GET", authority=None, ends=True):
        """Opens a stream; the number of it."""
        stream = self.open()
        self.head(stream, self.fields(method, path, authority, extra), ends)
        return stream

    def data(self, stream, payload, ends=False):
        """DATA whatever the windows say, in frames of at most 16 KiB."""
        pieces = [payload[at:at + 16384] for at in range(0, len(payload), 16384)] or [b""]
        for index, piece in enumerate(pieces):
            last = index == len(pieces) - 1
            self.window -= len(piece)
            self.windows[stream] -= len(piece)
            self.send(frame(DATA, END_STREAM if ends and last else 0, stream, piece))

    def upload(self, stream, payload, ends=True, patience=PATIENCE):
        """DATA as the windows allow; how many bytes went."""
        at = 0
        while at < len(payload):
            room = min(self.window, self.windows[stream], 16384, len(payload) - at)
            if room > 0:
                self.data(stream, payload[at:at + room], ends and at + room == len(payload))
                at += room
            elif not self.pump(lambda: min(self.window, self.windows[stream]) > 0 or self.replies[stream].is_over,
                               patience) or self.replies[stream].is_over:
                break
        if not payload and ends:
            self.data(stream, b"", True)
        return at

    # What comes in

    def absorb(self, patience):
        """Takes in what is there, waiting for it at most so long; false when nothing came."""
        end = time.monotonic() + patience
        while True:
            pending = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()
            readable = pending or select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]
            if not readable:
                return False
            try:
                self.socket.setblocking(False)
                received = self.socket.recv(1 << 18)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
            except (OSError, ssl.SSLError):
                received = b""
            if not received:
                self.closed = True
                return True
            self.unread += received
            self.take_frames()
            return True

    def take_frames(self):
        at = 0
        data = self.unread
        while len(data) - at >= 9:
            length = int.from_bytes(data[at:at + 3], "big")
            if len(data) - at < 9 + length:
                break
            kind, flags = data[at + 3], data[at + 4]
            stream = int.from_bytes(data[at + 5:at + 9], "big") & 0x7FFFFFFF
            self.take(kind, flags, stream, data[at + 9:at + 9 + length])
            at += 9 + length
        self.unread = data[at:]

    def take(self, kind, flags, stream, payload):
        self.trace.append((kind, flags, stream, len(payload)))
        if kind == DATA:
            self.take_data(flags, stream, payload)
        elif kind in (HEADERS, CONTINUATION):
            self.take_block(kind, flags, stream, payload)
        elif kind == RST_STREAM:
            self.reply(stream).reset = int.from_bytes(payload, "big")
        elif kind == SETTINGS and not flags & ACK:
            self.take_settings(payload)
        elif kind == PING:
            if flags & ACK:
                self.pongs.append(payload)
            else:
                self.send(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            last, code = struct.unpack(">II", payload[:8])
            self.goaways.append((last & 0x7FFFFFFF, code, payload[8:].decode("latin-1")))
        elif kind == WINDOW_UPDATE:
            increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
            if stream:
                self.windows[stream] = self.windows.get(stream, self.initial_window) + increment
            else:
                self.window += increment

    def reply(self, stream):
        return self.replies.setdefault(stream, Reply())

    def take_data(self, flags, stream, payload):
        flow = len(payload)
        if flags & PADDED:
            payload = payload[1:len(payload) - payload[0]]
        reply = self.reply(stream)
        reply.body += payload
        reply.pieces.append(len(payload))
        reply.ended = reply.ended or bool(flags & END_STREAM)
        if self.credits and flow:
            update = window_update(0, flow)
            self.send(update if reply.ended else update + window_update(stream, flow))

    def take_settings(self, payload):
        announced = {key: value for key, value in struct.iter_unpack(">HI", payload)}
        self.settings = {**(self.settings or {}), **announced}
        if INITIAL_WINDOW in announced:
            change = announced[INITIAL_WINDOW] - self.initial_window
            self.initial_window = announced[INITIAL_WINDOW]
            for stream in self.windows:
                self.windows[stream] += change
        self.send(settings(flags=ACK))

    def take_block(self, kind, flags, stream, payload):
        if kind == HEADERS:
            if flags & PADDED:
                payload = payload[1:len(payload) - payload[0]]
            if flags & PRIORITIZED:
                payload = payload[5:]
            self.block = [stream, flags & END_STREAM, b""]
        self.block[2] += payload
        if not flags & END_HEADERS:
            return
        stream, ends, block = self.block
        decoded = self.decoder.decode(block, raw=True)
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in decoded]
        reply = self.reply(stream)
        status = int(dict(fields).get(":status", 0))
        plain = [field for field in fields if not field[0].startswith(":")]
        if reply.status is not None:
            reply.trailers = fields
        elif 100 <= status < 200:
            reply.interim.append({"status": status, "fields": plain})
        else:
            reply.status, reply.fields = status, plain
        reply.ended = reply.ended or bool(ends)

    # Waiting

    def pump(self, until, patience=PATIENCE):
        """Takes in frames until the condition holds; false when the connection ended or nothing came in time."""
        end = time.monotonic() + patience
        while not until():
            if self.closed or time.monotonic() > end:
                return until()
            self.absorb(max(0, end - time.monotonic()))
        return True

    def finish(self, *streams, patience=PATIENCE):
        """Waits until these streams are over; the last one's reply."""
        self.pump(lambda: all(self.reply(stream).is_over for stream in streams), patience)
        return self.reply(streams[-1])

    def get(self, path="/", *extra, **more):
        return self.finish(self.request(path, *extra, **more))

    def ready(self):
        """Waits for the edge's SETTINGS, and for it to have seen ours."""
        self.pump(lambda: self.settings is not None)
        self.settle()
        return self

    def settle(self):
        """A PING there and back: whatever the edge had to say to what went out before has come; false when it closed."""
        count = len(self.pongs)
        self.send(frame(PING, 0, 0, struct.pack(">Q", count)))
        return self.pump(lambda: len(self.pongs) > count)

    def until_closed(self, patience=PATIENCE):
        self.pump(lambda: self.closed, patience)
        return self.closed

    @property
    def goaway(self):
        """The last GOAWAY's code, -1 where there was none."""
        return self.goaways[-1][1] if self.goaways else -1

    def close(self):
        self.socket.close()


def secured(plain, name, protocols):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(protocols)
    return context.wrap_socket(plain, server_hostname=name)


class Bystander(threading.Thread):
    """Another client, on a connection of its own, that asks for a page over and over and counts how it fares."""

    def __init__(self, port, tls, path):
        super().__init__(daemon=True)
        self.arguments = (port, tls)
        self.path = path
        self.served, self.failed = 0, 0
        self.is_over = threading.Event()
        self.start()

    def run(self):
        try:
            client = Client(*self.arguments)
            while not self.is_over.is_set():
                if client.get(self.path).status == 200:
                    self.served += 1
                else:
                    self.failed += 1
                    return
        except Exception:
            traceback.print_exc()
            self.failed += 1

    def stop(self):
        """At least one answer after what went on is over."""
        before = self.served
        end = time.monotonic() + PATIENCE
        while self.served < before + 2 and not self.failed and time.monotonic() < end:
            time.sleep(0.01)
        self.is_over.set()
        self.join(PATIENCE)
        return {"served": self.served - before, "failed": self.failed}


def say(**findings):
    """Tells the journey how far the scenario is."""
    print(json.dumps(findings), flush=True)


def wait_for_word():
    """Until the journey writes a line."""
    return sys.stdin.readline().strip()


def play(scenarios):
    """`program.py NAME '{"port": 8080, …}'`"""
    name, arguments = sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    function = scenarios.get(name)
    if function is None:
        sys.exit(f"no scenario {name}")
    found = function(**arguments)
    if found is not None:
        say(**found)
