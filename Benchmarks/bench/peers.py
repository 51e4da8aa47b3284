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

    def version(self) -> str:
        if not os.access(self.program, os.X_OK):
            raise machine.MissingProgram("martlet is not built (make build)")
        found = subprocess.run([self.program, "version"], capture_output=True, text=True)
        return found.stdout.strip().removeprefix("martlet ")

    @staticmethod
    def _configuration(site: Site) -> str:
        # JSON is YAML: quoting is the encoder's business.
        configuration = {
            "listen": {"http": [f"127.0.0.1:{site.http_port}"], "https": [f"127.0.0.1:{site.https_port}"]},
            "admin": f"127.0.0.1:{site.admin_port}",
            "data": str(site.directory / "var"),
            "threads": 1,
            "log": {"level": "warning"},
            "access_log": str(site.access_log_file) if site.access_log else "off",
            "timeouts": {"header": "1h", "idle": "1h"},
            "zones": {
                "*": {
                    "origins": [f"http://127.0.0.1:{site.origin_port}"],
                    "tls": {"certificate": str(site.certificate), "key": str(site.key)},
                }
            },
        }
        return json.dumps(configuration, indent=2) + "\n"


class Nginx(Peer):
    name = "nginx"
    program = "nginx"

    def command(self, site: Site) -> list[str]:
        # A client's connection and the one to the origin that serves it.
        return nginx_command(site.directory, 2 * site.clients, self._http_block(site))

    def version(self) -> str:
        found = subprocess.run([machine.find_program("nginx"), "-v"], capture_output=True, text=True)
        return found.stderr.strip().rpartition("/")[2]

    @staticmethod
    def _http_block(site: Site) -> str:
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
        return f"""
    {log}
    keepalive_timeout {IDLE_TIMEOUT_SECONDS}s;
    client_header_timeout {IDLE_TIMEOUT_SECONDS}s;
    client_max_body_size 0;
    upstream origin {{
        server 127.0.0.1:{site.origin_port};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{site.http_port};
        listen 127.0.0.1:{site.https_port} ssl;
        ssl_certificate {site.certificate};
        ssl_certificate_key {site.key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_request_buffering off;
            proxy_buffer_size 16k;
            proxy_buffers 16 64k;
            proxy_max_temp_file_size 0;
        }}
    }}"""


class Varnish(Peer):
    name = "varnish"
    program = "varnishd"

    def command(self, site: Site) -> list[str]:
        vcl = site.directory / "pass.vcl"
        vcl.write_text(
            "vcl 4.1;\n"
            f'backend default {{ .host = "127.0.0.1"; .port = "{site.origin_port}"; }}\n'
            "sub vcl_recv { return (pass); }\n"
        )
        # A request that waits for its origin holds its thread: there must be one for each of the load's
        # connections. All of them share the server's one CPU.
        parameters = {
            "thread_pools": 1,
            "thread_pool_min": 64,
            "thread_pool_max": 512,
            "timeout_idle": IDLE_TIMEOUT_SECONDS,
        }
        return [
            machine.find_program("varnishd"), "-F", "-j", "none", "-n", str(site.directory / "varnish"),
            "-a", f"127.0.0.1:{site.http_port}", "-T", "none", "-f", str(vcl), "-s", "malloc,64M",
            *(word for name, value in parameters.items() for word in ("-p", f"{name}={value}")),
        ]

    def version(self) -> str:
        found = subprocess.run([machine.find_program("varnishd"), "-V"], capture_output=True, text=True)
        match = re.search(r"varnish-([\d.]+)", found.stderr)
        return match[1] if match else "unknown"


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
