"""The harness behind `make bench`.

command.py    options, the order of the run, exit status
machine.py    packages, limits, which CPU belongs to whom
processes.py  starting and ending servers; CPU and memory of a process tree
peers.py      the servers under test and their configuration
caches.py     what a row asks of their caches
origins.py    what stands behind them, and its own count of connections
loads.py      wrk, h2load and our own clients, all answering with one `Load`
row.py        the nouns: a row, its bars, a measurement
steady.py     a steady load and its cost
evidence.py   that an answer came from the cache
proxy_rows.py, cache_rows.py, http2_rows.py, attack_rows.py
              one function for each kind of row, the rows themselves and their bars
rows.py       all of them, in order
report.py     medians, verdicts, the table and the JSON

clients/ holds small programs that run as processes of their own, on the client's CPU.
"""
