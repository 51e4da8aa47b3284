"""Clients that others wrote: `httpx` and `h2`."""

import asyncio

import h2.config
import h2.connection
import h2.events

from wire import *


def of_httpx(port, tls, path, count):
    """Many requests at once on one connection, an upload, cookies, a redirection not followed."""
    import httpx

    async def run():
        scheme = "https" if tls else "http"
        base = f"{scheme}://127.0.0.1:{port}"
        headers = {"host": "example.test"}
        extensions = {"sni_hostname": "example.test"}
        async with httpx.AsyncClient(http2=True, http1=tls, verify=False, timeout=PATIENCE, headers=headers,
                                     base_url=base) as client:
            replies = await asyncio.gather(*[client.get(f"{path}?{index}", extensions=extensions)
                                             for index in range(count)])
            upload = await client.post(path, content=b"x" * 300_000, extensions=extensions)
            cookies = await client.get(path, headers={"cookie": "a=b; c=d"}, extensions=extensions)
        return {
            "versions": sorted({reply.http_version for reply in replies}),
            "whole": sum(reply.status_code == 200 and reply.text == f"reached {path}?{index}"
                         for index, reply in enumerate(replies)),
            "upload": upload.status_code, "cookies": cookies.status_code,
        }

    return asyncio.run(run())


def of_h2(port, tls, path):
    """One request each way by `h2`, which is strict about what comes."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    if tls:
        plain = secured(plain, "example.test", ["h2"])
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="latin-1"))
    connection.initiate_connection()
    head = [(":method", "POST"), (":scheme", "https" if tls else "http"), (":authority", "example.test"),
            (":path", path), ("content-length", "5"), ("user-agent", "h2")]
    connection.send_headers(1, head)
    connection.send_data(1, b"hello", end_stream=True)
    connection.send_headers(3, [(":method", "GET"), *head[1:4]], end_stream=True)
    connection.ping(b"12345678")
    plain.sendall(connection.data_to_send())
    found = {"statuses": [], "bodies": {}, "ponged": False, "connect": 0, "ended": 0}
    while found["ended"] < 2 or not found["ponged"]:
        data = plain.recv(65536)
        if not data:
            break
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                found["statuses"].append(int(dict(event.headers)[":status"]))
            elif isinstance(event, h2.events.DataReceived):
                found["bodies"][str(event.stream_id)] = event.data.decode()
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.PingAckReceived):
                found["ponged"] = True
            elif isinstance(event, h2.events.StreamEnded):
                found["ended"] += 1
        plain.sendall(connection.data_to_send())
    found["connect"] = connection.remote_settings.enable_connect_protocol
    connection.close_connection()
    plain.sendall(connection.data_to_send())
    return found


def offered(port, protocols, name="example.test"):
    """What ALPN picks of these."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    return {"picked": secured(plain, name, protocols).selected_alpn_protocol() or "none"}


if __name__ == "__main__":
    play(globals())
