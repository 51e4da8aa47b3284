"""All rows, in the table's order."""

from .attack_rows import ATTACK_ROWS
from .cache_rows import CACHE_ROWS
from .http2_rows import HTTP2_ROWS
from .proxy_rows import PROXY_ROWS

ROWS = PROXY_ROWS + CACHE_ROWS + HTTP2_ROWS + ATTACK_ROWS
