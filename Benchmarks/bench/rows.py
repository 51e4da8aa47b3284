"""All rows, in the table's order."""

from .cache_rows import CACHE_ROWS
from .proxy_rows import PROXY_ROWS

ROWS = PROXY_ROWS + CACHE_ROWS
