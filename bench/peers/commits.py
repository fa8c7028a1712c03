"""A loop of single SQLite commits (WAL, synchronous=FULL): what one durable accept costs at least.

Usage: commits.py FOLDER. For each line with a count on standard input it commits so many rows and
prints the median time of a commit, in ms.
"""

import sqlite3
import sys
import time
from statistics import median

ROW = ("0123456789abcdef0123456789abcdef", "2026-11-22T13:00:00.123Z", '{"text":"green"}' * 8)

db = sqlite3.connect(sys.argv[1] + "/commits.db", isolation_level=None)
db.execute("PRAGMA journal_mode=WAL")
db.execute("PRAGMA synchronous=FULL")
db.execute("CREATE TABLE message(number INTEGER PRIMARY KEY, id TEXT, time TEXT, body TEXT)")
print("ready", flush=True)
for line in sys.stdin:
    times = []
    for _ in range(int(line)):
        start = time.perf_counter()
        db.execute("INSERT INTO message(id, time, body) VALUES (?, ?, ?)", ROW)
        times.append((time.perf_counter() - start) * 1000)
    print(median(times), flush=True)
