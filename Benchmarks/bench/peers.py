"""The servers under test, each with one thread of work, configured to do the same for each request.

What is tuned and why stands in Benchmarks/README.md; where a setting makes a difference, it is the one that
favours the peer.
"""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import machine
from .caches import CacheSetup

IDLE_TIMEOUT_SECONDS = 3600


@dataclass(frozen=True)
class Site:
    """Where a server listens, what it proxies to, and the directory it may write in."""

    directory: Path
    http_port: int
    https_port: int
    admin_port: int
    origin_port: int
    certificate: Path
    key: Path
    # Clients that may be connected at once. nginx and Varnish want to know beforehand.
    clients: int
    access_log: bool = False
    # None: nothing is cached, in any of the servers.
    cache: CacheSetup | None = None
    # The origin speaks HTTP/2 with prior knowledge, and nothing else.
    origin_is_http2: bool = False

    @property
    def access_log_file(self) -> Path:
        return self.directory / "access.log"


class Peer:
    """One kind of server."""

    name: str
    program: str

    def command(self, site: Site) -> list[str]:
        """Writes the configuration and returns the command that serves in the foreground."""
        raise NotImplementedError

    def readiness(self, site: Site) -> tuple[int, str] | None:
        """Port and path that answer 200 once the server serves; None where a connection accepted says it."""
        return None

    def evidence(self, site: Site) -> tuple[int, str]:
        """Port and response field where the server says what its cache did. The port may be one beside the load's, of
        the same cache, so that the load's own responses carry no field they need not."""
        raise NotImplementedError

    def says_hit(self, said: str) -> bool:
        """Whether that field's value says that the response came from the cache."""
        raise NotImplementedError

    def purge_tag(self, site: Site, tag: str) -> dict[str, object] | None:
        """The port and the text of a request that purges all objects of a tag; None where there is no such thing."""
        return None

    def version(self) -> str:
        """The program's own version. Raises MissingProgram."""
        raise NotImplementedError


class Martlet(Peer):
    name = "martlet"

    def __init__(self, binary: Path) -> None:
        self.program = str(binary)

    def command(self, site: Site) -> list[str]:
        file = site.directory / "martlet.yaml"
        file.write_text(self._configuration(site))
        return [self.program, "up", "-c", str(file)]

    def readiness(self, site: Site) -> tuple[int, str] | None:
        return (site.admin_port, "/readyz")

    def evidence(self, site: Site) -> tuple[int, str]:
        return (site.http_port, "Cache-Status")

    def says_hit(self, said: str) -> bool:
        # RFC 9211: a member for each cache, ours the last; its parameters behind its name.
        return "hit" in [part.strip() for part in said.rpartition(",")[2].split(";")]

    def purge_tag(self, site: Site, tag: str) -> dict[str, object] | None:
        body = json.dumps({"tags": [tag]})
        head = f"POST /cache/purge HTTP/1.1\r\nHost: 127.0.0.1:{site.admin_port}\r\nConnection: close\r\n"
        fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return {"port": site.admin_port, "request": head + fields + body}

    def version(self) -> str:
        if not os.access(self.program, os.X_OK):
            raise machine.MissingProgram("martlet is not built (make build)")
        found = subprocess.run([self.program, "version"], capture_output=True, text=True)
        return found.stdout.strip().removeprefix("martlet ")

    @staticmethod
    def _configuration(site: Site) -> str:
        origin = {"url": f"http://127.0.0.1:{site.origin_port}"}
        if site.origin_is_http2:
            origin["http2"] = "on"
        # JSON is YAML: quoting is the encoder's business.
        configuration = {
            "listen": {"http": [f"127.0.0.1:{site.http_port}"], "https": [f"127.0.0.1:{site.https_port}"]},
            "admin": f"127.0.0.1:{site.admin_port}",
            "data": str(site.directory / "var"),
            "threads": 1,
            "log": {"level": "warning"},
            "access_log": str(site.access_log_file) if site.access_log else "off",
            "timeouts": {"header": "1h", "idle": "1h"},
            "limits": {"requests_per_connection": 1_000_000_000},
            "cache": "off",
            "zones": {
                "*": {
                    "origins": [origin],
                    "tls": {"certificate": str(site.certificate), "key": str(site.key)},
                }
            },
        }
        if site.cache is not None:
            configuration["cache"] = {"memory": f"{site.cache.memory_mib}MiB", "disk": "off"}
            if site.cache.disk_mib:
                configuration["cache"] |= {"disk": f"{site.cache.disk_mib}MiB", "path": str(site.directory / "cache")}
            if site.cache.stale_seconds:
                configuration["zones"]["*"]["cache"] = {"stale_while_revalidate": f"{site.cache.stale_seconds}s"}
        return json.dumps(configuration, indent=2) + "\n"


_NGINX_PROXY = """proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_request_buffering off;
            proxy_buffer_size 16k;
            proxy_buffers 16 64k;"""


class Nginx(Peer):
    name = "nginx"
    program = "nginx"

    def command(self, site: Site) -> list[str]:
        # A client's connection and the one to the origin that serves it.
        return nginx_command(site.directory, 2 * site.clients, self._http_block(site))

    def version(self) -> str:
        found = subprocess.run([machine.find_program("nginx"), "-v"], capture_output=True, text=True)
        return found.stderr.strip().rpartition("/")[2]

    def evidence(self, site: Site) -> tuple[int, str]:
        return (site.admin_port, "X-Cache")

    def says_hit(self, said: str) -> bool:
        return said == "HIT"

    def _cache(self, site: Site) -> tuple[str, str]:
        return _nginx_cache(site, sends_files=not site.cache.has_small_objects)

    def _http_block(self, site: Site) -> str:
        if site.access_log:
            log = (
                "log_format json escape=json '{\"time\":\"$time_iso8601\",\"client\":\"$remote_addr\","
                '"method":"$request_method","scheme":"$scheme","host":"$host","uri":"$request_uri",'
                '"protocol":"$server_protocol","status":$status,"bytes":$bytes_sent,"seconds":$request_time,'
                '"origin":"$upstream_addr","origin_status":"$upstream_status",'
                '"origin_seconds":"$upstream_header_time","referer":"$http_referer",'
                "\"user_agent\":\"$http_user_agent\",\"id\":\"$request_id\"}';\n"
                f"    access_log {site.access_log_file} json buffer=64k flush=1s;"
            )
        else:
            log = "access_log off;"
        cache, probe = self._cache(site) if site.cache else ("", "")
        # Towards origins, nginx speaks HTTP/2 in its gRPC module alone.
        to_origin = "grpc_pass grpc://origin;" if site.origin_is_http2 else _NGINX_PROXY
        return f"""
    {log}
    {cache}
    keepalive_timeout {IDLE_TIMEOUT_SECONDS}s;
    client_header_timeout {IDLE_TIMEOUT_SECONDS}s;
    client_max_body_size 0;
    upstream origin {{
        server 127.0.0.1:{site.origin_port};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{site.http_port} backlog=65535;
        listen 127.0.0.1:{site.https_port} ssl http2 backlog=65535;
        ssl_certificate {site.certificate};
        ssl_certificate_key {site.key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        location / {{
            {to_origin}
            {"" if site.cache else "proxy_max_temp_file_size 0;"}
        }}
    }}
    {probe}"""


class NginxSendfile(Nginx):
    """nginx with Debian's own sendfile and tcp_nopush where `Nginx` has what is cheaper for it."""

    name = "nginx-sendfile"

    def _cache(self, site: Site) -> tuple[str, str]:
        return _nginx_cache(site, sends_files=True)


class Varnish(Peer):
    name = "varnish"
    program = "varnishd"

    def command(self, site: Site) -> list[str]:
        vcl = site.directory / "bench.vcl"
        vcl.write_text(
            "vcl 4.1;\n"
            f'backend default {{ .host = "127.0.0.1"; .port = "{site.origin_port}"; }}\n'
            + (_varnish_cache(site.cache) if site.cache else "sub vcl_recv { return (pass); }\n")
        )
        # A request that waits for its origin holds its thread: there must be one for each of the load's
        # connections. All of them share the server's one CPU. Thousands that arrive at once queue for a thread.
        parameters = {
            "thread_pools": 1,
            "thread_pool_min": 64,
            "thread_pool_max": 512,
            "thread_queue_limit": 20_000,
            "listen_depth": 65535,
            "timeout_idle": IDLE_TIMEOUT_SECONDS,
            # A large object may need the room of thousands of small ones; it is refused beyond this.
            "nuke_limit": 100_000,
        }
        return [
            machine.find_program("varnishd"), "-F", "-j", "none", "-n", str(site.directory / "varnish"),
            "-a", f"127.0.0.1:{site.http_port}", "-T", "none", "-f", str(vcl), "-s", self._storage(site),
            *(word for name, value in parameters.items() for word in ("-p", f"{name}={value}")),
        ]

    def evidence(self, site: Site) -> tuple[int, str]:
        return (site.http_port, "X-Varnish")

    def says_hit(self, said: str) -> bool:
        # Its own transaction, and on a hit the one that fetched the object.
        return len(said.split()) == 2

    def purge_tag(self, site: Site, tag: str) -> dict[str, object] | None:
        head = f"PURGE / HTTP/1.1\r\nHost: 127.0.0.1:{site.http_port}\r\nConnection: close\r\nTag: {tag}\r\n\r\n"
        return {"port": site.http_port, "request": head}

    def version(self) -> str:
        found = subprocess.run([machine.find_program("varnishd"), "-V"], capture_output=True, text=True)
        match = re.search(r"varnish-([\d.]+)", found.stderr)
        return match[1] if match else "unknown"

    @staticmethod
    def _storage(site: Site) -> str:
        if site.cache is None:
            return "malloc,64M"
        if site.cache.disk_mib:
            return f"file,{site.directory / 'objects'},{site.cache.disk_mib}M"
        return f"malloc,{site.cache.memory_mib}M"


def _varnish_cache(cache: CacheSetup) -> str:
    """Hits without the checks of the built-in vcl_recv, which these loads do not need. Tags by xkey where Debian's
    varnish-modules is installed, else by bans."""
    if not cache.has_tags:
        return "sub vcl_recv { return (hash); }\n"
    if machine.varnish_module("xkey"):
        imported, purge = "import xkey;\n", "set req.http.Gone = xkey.purge(req.http.Tag);"
        keep = "set beresp.http.xkey = beresp.http.Cache-Tag;"
    else:
        imported = "import std;\n"
        purge = 'std.ban("obj.http.Cache-Tag ~ (^|,)" + req.http.Tag + "(,|$)");'
        keep = ""
    return (
        f"{imported}"
        "sub vcl_recv {\n"
        f'    if (req.method == "PURGE") {{ {purge} return (synth(200)); }}\n'
        "    return (hash);\n"
        "}\n"
        f"sub vcl_backend_response {{ {keep} }}\n"
    )


def _nginx_cache(site: Site, sends_files: bool) -> tuple[str, str]:
    """The cache for the http block, and a server beside the load's that says what it did. The key is the path alone,
    the cheapest there is and the same on both. Why sendfile and tcp_nopush are not always on: README.md."""
    zone_kib, open_files = 64 * 1024, "max=8000 inactive=1h"
    if site.cache.objects_max is not None:
        # A key takes 128 bytes, and a few pages are the zone's own. A file that is evicted while it is open goes on
        # being served, beyond the bound.
        zone_kib, open_files = 32 + site.cache.objects_max // 8, "off"
    settings = f"""
    proxy_cache_path {site.directory / 'cache'} levels=1:2 keys_zone=objects:{zone_kib}k
                     max_size={site.cache.bytes_max_mib}m inactive=1h use_temp_path=off manager_files=1000;
    sendfile {"on" if sends_files else "off"};
    tcp_nopush {"on" if sends_files and site.cache.has_small_objects else "off"};
    {"" if site.cache.has_small_objects else "http2_chunk_size 16k; output_buffers 2 128k;"}
    tcp_nodelay on;
    open_file_cache {open_files};
    open_file_cache_valid 1h;
    proxy_cache objects;
    proxy_cache_key $request_uri;
    proxy_cache_lock on;
    proxy_cache_lock_timeout 60s;
    proxy_cache_revalidate on;
    proxy_cache_background_update on;
    {"proxy_cache_use_stale updating;" if site.cache.stale_seconds else ""}"""
    probe = f"""
    server {{
        listen 127.0.0.1:{site.admin_port};
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            add_header X-Cache $upstream_cache_status;
        }}
    }}"""
    return settings, probe


def nginx_command(directory: Path, connections: int, http_block: str) -> list[str]:
    """Writes a configuration that touches nothing outside `directory`; the server stays in the foreground."""
    user = "user root;\n" if os.geteuid() == 0 else ""
    temporary = "\n".join(
        f"    {kind}_temp_path {directory / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = directory / "nginx.conf"
    file.write_text(
        f"daemon off;\n{user}worker_processes 1;\npid {directory / 'nginx.pid'};\n"
        f"error_log {directory / 'error.log'} warn;\n"
        f"events {{ worker_connections {connections}; }}\n"
        f"http {{\n{temporary}\n    keepalive_requests 1000000000;\n{http_block}\n}}\n"
    )
    return [machine.find_program("nginx"), "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(file)]
