"""An origin that speaks HTTP/2 by the library `h2`, and does by path what an origin may do, well or badly.

The last word of the path names what it does; every request, connection and reset is told as a line of JSON.
"""

import threading
import traceback

import h2.config
import h2.connection
import h2.events
import h2.settings

from wire import *

Codes = h2.settings.SettingCodes


class Origin:
    """What all connections of one process share."""

    def __init__(self, streams, window, push_words=True):
        self.streams, self.window = streams, window
        self.lock = threading.Lock()
        self.connections = 0
        self.active, self.most_active = 0, 0
        self.times = {}
        self.words = threading.Semaphore(0)

    def count(self, key):
        """How often it was asked for this, this time included."""
        with self.lock:
            self.times[key] = self.times.get(key, 0) + 1
            return self.times[key]

    def enter(self, change):
        with self.lock:
            self.active += change
            self.most_active = max(self.most_active, self.active)


class Connection(threading.Thread):
    def __init__(self, origin, plain, tls):
        super().__init__(daemon=True)
        self.origin, self.socket, self.tls = origin, plain, tls
        self.lock = threading.RLock()
        self.bodies, self.heads, self.whole = {}, {}, set()
        self.opened = threading.Condition(self.lock)
        self.is_over = False
        self.start()

    def run(self):
        try:
            if self.tls:
                self.socket = self.tls.wrap_socket(self.socket, server_side=True)
                if self.socket.selected_alpn_protocol() != "h2":
                    say(alpn=self.socket.selected_alpn_protocol() or "none")
                    return
            self.talk()
        except (OSError, ssl.SSLError):
            pass
        except Exception:
            traceback.print_exc()
        finally:
            with self.lock:
                self.is_over = True
                self.opened.notify_all()
            self.socket.close()

    def talk(self):
        with self.origin.lock:
            self.origin.connections += 1
            self.index = self.origin.connections
        say(connection=self.index)
        # Nothing is checked or mended on the way out: a bad origin must be able to be one.
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="latin-1", validate_outbound_headers=False,
            normalize_outbound_headers=False, validate_inbound_headers=True))
        # As initial values: a change would count only once it is acknowledged.
        values = {Codes.ENABLE_CONNECT_PROTOCOL: 1, Codes.MAX_CONCURRENT_STREAMS: self.origin.streams}
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=values)
        self.h2.initiate_connection()
        if self.origin.window:
            # This one must not: what the edge sends before it knows of it is within its rights.
            self.h2.update_settings({Codes.INITIAL_WINDOW_SIZE: self.origin.window})
        self.flush()
        while True:
            data = self.socket.recv(65536)
            if not data:
                return
            with self.lock:
                for event in self.h2.receive_data(data):
                    self.take(event)
                self.opened.notify_all()
            self.flush()

    def flush(self):
        with self.lock:
            data = self.h2.data_to_send()
            if data:
                self.socket.sendall(data)

    def take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.heads[event.stream_id] = [list(field) for field in event.headers]
            self.bodies[event.stream_id] = bytearray()
            verb = self.verb(event.stream_id)
            if verb in EARLY:
                self.begin(event.stream_id)
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
            if self.verb(event.stream_id) != "stall":
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if self.verb(event.stream_id) == "tunnel":
                self.h2.send_data(event.stream_id, event.data)
        elif isinstance(event, h2.events.TrailersReceived):
            self.heads[event.stream_id] += [["trailer " + name, value] for name, value in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            self.whole.add(event.stream_id)
            if self.verb(event.stream_id) == "tunnel":
                self.h2.end_stream(event.stream_id)
            elif self.verb(event.stream_id) not in EARLY:
                self.begin(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            say(reset=self.path(event.stream_id), code=int(event.error_code))
        elif isinstance(event, h2.events.ConnectionTerminated):
            say(goaway=int(event.error_code))

    def field(self, stream, name):
        return next((value for key, value in self.heads.get(stream, []) if key == name), "")

    def path(self, stream):
        return self.field(stream, ":path")

    def verb(self, stream):
        return self.path(stream).split("?")[0].rsplit("/", 1)[-1]

    def begin(self, stream):
        say(request=self.path(stream), on=self.index, head=self.heads[stream], count=len(self.bodies[stream]))
        threading.Thread(target=self.answer, args=(stream,), daemon=True).start()

    # Answering

    def answer(self, stream):
        self.origin.enter(1)
        try:
            VERBS.get(self.verb(stream), Connection.plain)(self, stream)
        except (OSError, h2.exceptions.ProtocolError):
            pass
        except Exception:
            traceback.print_exc()
        finally:
            self.origin.enter(-1)

    def head(self, stream, *fields, status=200, ends=False):
        with self.lock:
            self.h2.send_headers(stream, [(":status", str(status)), *fields], end_stream=ends)
            self.flush()

    def body(self, stream, data, ends=True):
        at = 0
        while at < len(data):
            with self.lock:
                room = min(self.h2.local_flow_control_window(stream), 16384)
                while room <= 0 and not self.is_over:
                    self.opened.wait(PATIENCE)
                    room = min(self.h2.local_flow_control_window(stream), 16384)
                if self.is_over:
                    return
                self.h2.send_data(stream, data[at:at + room])
                at += room
                self.flush()
        if ends:
            self.finish(stream)

    def finish(self, stream, *trailers):
        with self.lock:
            if trailers:
                self.h2.send_headers(stream, list(trailers), end_stream=True)
            else:
                self.h2.end_stream(stream)
            self.flush()

    def reset(self, stream, code):
        with self.lock:
            self.h2.reset_stream(stream, code)
            self.flush()

    def goaway(self, code=0, last=None):
        """The library would refuse to go on after its own GOAWAY."""
        with self.lock:
            last = self.h2.highest_inbound_stream_id if last is None else last
            self.raw(frame(GOAWAY, 0, 0, struct.pack(">II", last, code)))

    def raw(self, data):
        with self.lock:
            self.socket.sendall(data)

    def hang_up(self):
        self.socket.shutdown(socket.SHUT_RDWR)

    # What it does by path

    def plain(self, stream):
        """Tells what it got."""
        text = json.dumps({"head": self.heads[stream], "body": self.bodies[stream].decode("latin-1")}).encode()
        self.head(stream, ("content-type", "application/json"), ("content-length", str(len(text))))
        self.body(stream, b"" if self.field(stream, ":method") == "HEAD" else text)

    def echo(self, stream):
        self.head(stream)
        self.body(stream, bytes(self.bodies[stream]))

    def cached(self, stream):
        text = f"v{self.origin.count(self.path(stream))}".encode()
        self.head(stream, ("cache-control", "max-age=60"), ("etag", '"one"'), ("content-length", str(len(text))))
        self.body(stream, text)

    def trailers(self, stream):
        self.head(stream, ("trailer", "x-sum"))
        self.body(stream, b"the body", ends=False)
        self.finish(stream, ("x-sum", "42"))

    def early(self, stream):
        self.head(stream, ("link", "</style.css>; rel=preload"), status=103)
        self.plain(stream)

    def bare(self, stream):
        self.head(stream, status=204, ends=True)

    def unchanged(self, stream):
        self.head(stream, ("etag", '"one"'), status=304, ends=True)

    def large(self, stream):
        self.head(stream, ("content-length", str(8 << 20)))
        self.body(stream, bytes(range(256)) * (8 << 12))

    def hold(self, stream):
        """The head and a first half at once, the rest when told to."""
        self.head(stream, ("content-length", "10"))
        self.body(stream, b"first", ends=False)
        say(held=self.path(stream))
        self.origin.words.acquire(timeout=PATIENCE)
        self.body(stream, b"-last")

    def leave(self, stream):
        """GOAWAY in the middle of an answer, which it completes; then it hangs up."""
        self.head(stream, ("content-length", "10"))
        self.body(stream, b"first", ends=False)
        self.goaway()
        self.origin.words.acquire(timeout=PATIENCE)
        self.body(stream, b"-last")
        time.sleep(0.2)
        self.hang_up()

    def leave_before(self, stream):
        """The first time GOAWAY says that this very stream was not processed."""
        if self.origin.count(self.path(stream)) == 1:
            self.goaway(last=max(0, stream - 2))
            time.sleep(0.2)
            self.hang_up()
        else:
            self.plain(stream)

    def drop(self, stream):
        """The first time it hangs up without a word."""
        if self.origin.count(self.path(stream)) == 1:
            self.hang_up()
        else:
            self.plain(stream)

    def refuse(self, stream):
        """REFUSED_STREAM, the first time."""
        if self.origin.count(self.path(stream)) == 1:
            self.reset(stream, REFUSED_STREAM)
        else:
            with self.lock:
                while stream not in self.whole and not self.is_over:
                    self.opened.wait(1)
            self.plain(stream)

    def refuse_always(self, stream):
        self.reset(stream, REFUSED_STREAM)

    def reset_before(self, stream):
        self.reset(stream, INTERNAL_ERROR)

    def reset_after(self, stream):
        self.head(stream, ("content-length", "10"))
        self.body(stream, b"first", ends=False)
        self.reset(stream, INTERNAL_ERROR)

    def whole_then_reset(self, stream):
        """RFC 9113, section 8.1: a whole answer before the request is, then RST_STREAM with NO_ERROR."""
        self.head(stream, ("content-length", "5"))
        self.body(stream, b"early")
        self.reset(stream, NO_ERROR)

    def falls_short(self, stream):
        self.head(stream, ("content-length", "10"))
        self.body(stream, b"first")

    def too_long(self, stream):
        self.head(stream, ("content-length", "3"))
        self.body(stream, b"too long")

    def huge_head(self, stream):
        self.head(stream, *[(f"x-{index}", "v" * 4000) for index in range(100)], ends=True)

    def upper(self, stream):
        self.head(stream, ("X-Upper", "a"), ends=True)

    def hop(self, stream):
        self.head(stream, ("connection", "close"), ends=True)

    def split(self, stream):
        self.head(stream, ("x-a", "b\r\nset-cookie: c=d"), ends=True)

    def no_status(self, stream):
        with self.lock:
            self.h2.send_headers(stream, [("x-a", "b")], end_stream=True)
            self.flush()

    def push(self, stream):
        """Nobody asked for it: the edge says ENABLE_PUSH 0."""
        self.raw(frame(PUSH_PROMISE, END_HEADERS, stream, b"\0\0\0\x02\x82\x86\x84"))

    def flood(self, stream):
        for _ in range(200):
            self.raw(settings([(INITIAL_WINDOW, 65535)]) * 50 + frame(PING, 0, 0, b"12345678") * 200)

    def endless(self, stream):
        """A head in CONTINUATION frames that never ends."""
        self.raw(frame(HEADERS, 0, stream, b"\x88"))
        for _ in range(200):
            self.raw(frame(CONTINUATION, 0, stream, b"\x00\x01a\x01b" * 2000))

    def garbage(self, stream):
        self.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" * 10)

    def mute(self, stream):
        """Never answers this, nor anything else on the connection, PING included."""
        say(mute=self.path(stream))
        with self.lock:
            time.sleep(PATIENCE)

    def pings(self, stream):
        """Waits for a word while the edge may ask whether it is still there."""
        say(held=self.path(stream))
        self.origin.words.acquire(timeout=PATIENCE)
        self.plain(stream)

    def stall(self, stream):
        """Takes no byte of the body until told to."""
        say(stalled=self.path(stream))
        self.origin.words.acquire(timeout=PATIENCE)
        self.heads[stream] = [[":path", self.path(stream) + "/on"]] + self.heads[stream]
        with self.lock:
            self.h2.acknowledge_received_data(len(self.bodies[stream]), stream)
            self.flush()
            wanted = int(self.field(stream, "content-length") or 0)
            while len(self.bodies[stream]) < wanted and not self.is_over:
                self.opened.wait(1)
        self.head(stream, ends=False)
        self.body(stream, f"took {len(self.bodies[stream])}".encode())

    def tunnel(self, stream):
        self.head(stream)

    def most(self, stream):
        """The most streams at once so far, and the connections."""
        text = json.dumps({"most": self.origin.most_active, "connections": self.origin.connections}).encode()
        self.head(stream)
        self.body(stream, text)

    def slow(self, stream):
        time.sleep(0.05)
        self.plain(stream)


EARLY = {"stall", "tunnel", "whole-then-reset", "reset-before", "refuse"}
VERBS = {name.replace("_", "-"): method for name, method in vars(Connection).items()
         if callable(method) and not name.startswith("__")}


def serve(port, certificate="", key="", streams=100, window=0, protocols=("h2",)):
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        tls.set_alpn_protocols(list(protocols))
    origin = Origin(streams, window)
    listener = socket.create_server(("127.0.0.1", port), backlog=128)

    def words():
        while wait_for_word():
            origin.words.release()

    threading.Thread(target=words, daemon=True).start()
    say(serving=port)
    while True:
        plain, _ = listener.accept()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Connection(origin, plain, tls)


if __name__ == "__main__":
    play(globals())
