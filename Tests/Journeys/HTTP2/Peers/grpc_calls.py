"""gRPC by its own library, both ends: a server behind the edge and a client in front of it. Messages are plain bytes."""

import threading
import time

import grpc

from wire import PATIENCE, play, say, wait_for_word

NAME = "journeys.Calls"
KINDS = {"unary": grpc.unary_unary_rpc_method_handler, "download": grpc.unary_stream_rpc_method_handler,
         "upload": grpc.stream_unary_rpc_method_handler, "talk": grpc.stream_stream_rpc_method_handler}


def serve(port, certificate="", key=""):
    """Serves until it is ended; says what happens to calls that are given up."""

    def unary(request, context):
        metadata = dict(context.invocation_metadata())
        context.send_initial_metadata((("x-first", "head"), ("x-heard", metadata.get("x-said", ""))))
        context.set_trailing_metadata((("x-last", "trailer"), ("x-data-bin", b"\x00\xff\x01")))
        if request.startswith(b"fail "):
            context.set_code(grpc.StatusCode.FAILED_PRECONDITION)
            context.set_details("because: ü %")
            return b""
        if request == b"time left":
            return str(context.time_remaining()).encode()
        if request == b"peer":
            return repr(sorted(metadata.items())).encode()
        return request

    def upload(requests, context):
        count, size = 0, 0
        for one in requests:
            count, size = count + 1, size + len(one)
        return f"{count} messages, {size} bytes".encode()

    def download(request, context):
        count, size = (int(word) for word in request.split())
        for index in range(count):
            yield str(index).encode() + b" " * size

    def talk(requests, context):
        """Each message is answered before the next is read."""
        for one in requests:
            yield b"heard " + one

    def wait(request, context):
        """Until the client gives up: then the library ends it, here or before it comes here."""
        over = threading.Event()

        def end():
            over.set()
            say(given_up=request.decode())

        context.add_callback(end)
        yield b"begun"
        over.wait(PATIENCE)

    def held(request, context):
        """First message at once, the second when told to."""
        yield b"first"
        say(held=True)
        wait_for_word()
        yield b"second"

    handlers = {"Unary": KINDS["unary"](unary), "Upload": KINDS["upload"](upload), "Download":
                KINDS["download"](download), "Talk": KINDS["talk"](talk), "Wait": KINDS["download"](wait), "Held":
                KINDS["download"](held)}
    from concurrent.futures import ThreadPoolExecutor
    server = grpc.server(ThreadPoolExecutor(max_workers=32), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))
    address = f"127.0.0.1:{port}"
    if certificate:
        with open(key, "rb") as key_file, open(certificate, "rb") as certificate_file:
            pair = (key_file.read(), certificate_file.read())
        bound = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    else:
        bound = server.add_insecure_port(address)
    server.start()
    say(serving=bound)
    threading.Event().wait()


def channel(port, tls, authority):
    options = [("grpc.default_authority", "example.test"), ("grpc.max_receive_message_length", 1 << 26),
               ("grpc.enable_retries", 0)]
    if not tls:
        return grpc.insecure_channel(f"127.0.0.1:{port}", options)
    options.append(("grpc.ssl_target_name_override", "example.test"))
    with open(authority, "rb") as file:
        return grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(file.read()), options)


def path(name):
    return f"/{NAME}/{name}"


def kinds(port, tls, authority=""):
    """Every kind of call."""
    with channel(port, tls, authority) as stage:
        unary = stage.unary_unary(path("Unary"))
        answer, call = unary.with_call(b"hello", metadata=(("x-said", "this"),), timeout=PATIENCE)
        found = {
            "unary": answer.decode(), "initial": [list(map(str, one)) for one in call.initial_metadata()],
            "trailing": [[key, value.hex() if isinstance(value, bytes) else value]
                         for key, value in call.trailing_metadata()],
        }
        found["empty"] = len(unary(b"", timeout=PATIENCE))
        large = bytes(range(256)) * 12_000
        found["large"] = unary(large, timeout=PATIENCE) == large
        found["upload"] = stage.stream_unary(path("Upload"))(
            (b"x" * 10_000 for _ in range(300)), timeout=PATIENCE).decode()
        download = list(stage.unary_stream(path("Download"))(b"300 10000", timeout=PATIENCE))
        found["download"] = [len(download), int(download[-1]), sum(map(len, download))]
        found["talk"] = talked(stage)
        found["many"] = crowd(unary)
        return found


def talked(stage):
    """A message goes only when the one before it has been answered."""
    turn = threading.Semaphore(1)

    def messages():
        for index in range(50):
            turn.acquire()
            yield str(index).encode()

    heard = []
    for answer in stage.stream_stream(path("Talk"))(messages(), timeout=PATIENCE):
        heard.append(answer.decode())
        turn.release()
    return len(heard) == 50 and heard == [f"heard {index}" for index in range(50)]


def crowd(unary):
    calls = [unary.future(str(index).encode(), timeout=PATIENCE) for index in range(100)]
    return sum(call.result() == str(index).encode() for index, call in enumerate(calls))


def failure(call):
    try:
        result = call()
        return {"code": "OK", "result": repr(result)}
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details() or ""}


def failures(port, tls, authority=""):
    """Calls that do not end well, each in its way."""
    with channel(port, tls, authority) as stage:
        unary = stage.unary_unary(path("Unary"))
        left = float(unary(b"time left", timeout=100))
        waiting = stage.unary_stream(path("Wait"))
        given_up = waiting(b"cancelled", timeout=PATIENCE)
        begun = next(given_up)
        given_up.cancel()
        return {
            "status": failure(lambda: unary(b"fail now", timeout=PATIENCE)),
            "unknown": failure(lambda: stage.unary_unary(path("Nobody"))(b"", timeout=PATIENCE)),
            "deadline": failure(lambda: list(waiting(b"deadline", timeout=0.5))),
            "cancelled": failure(lambda: list(given_up)), "begun": begun.decode(), "left": left,
            "after": unary(b"still here", timeout=PATIENCE).decode(),
        }


def one(port, tls, authority="", words="hello"):
    """One unary call, however it ends."""
    with channel(port, tls, authority) as stage:
        return {"call": failure(lambda: stage.unary_unary(path("Unary"))(words.encode(), timeout=PATIENCE))}


def held(port, tls, authority=""):
    """A stream whose second message comes late."""
    with channel(port, tls, authority) as stage:
        call = stage.unary_stream(path("Held"))(b"", timeout=PATIENCE)
        say(first=next(call).decode())
        return {"rest": [message.decode() for message in call], "code": call.code().name}


if __name__ == "__main__":
    play(globals())
