"""timed.py RESULT ARGUMENTS...: runs one program and writes "seconds CPU-seconds peak-MiB status" to RESULT.

A process of its own, and small: Linux counts the memory of whoever forked a child into that child's peak."""
import os
import subprocess
import sys
import time

start = time.perf_counter()
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
seconds = time.perf_counter() - start
with open(sys.argv[1], "w") as f:
    f.write(f"{seconds} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss / 1024} {os.waitstatus_to_exitcode(status)}")
