"""One heap for all threads of a process that lasts: what each needed at once is not kept as often as there are."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes, sys, threading
from scandock.model.process import keep_one_heap

if sys.argv[1] == "one":
    keep_one_heap()
allocated, end = threading.Barrier(5), threading.Event()

def allocate():
    libc.free(ctypes.c_void_p(libc.malloc(2000)))
    allocated.wait()
    end.wait()

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
allocated.wait()
out = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
end.set()
"""


def heaps(how: str) -> int:
    """How many heaps four threads have that allocate at once."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return done.stdout.count("<heap ")


def test_threads_share_a_heap() -> None:
    assert heaps("as it is") > 1
    assert heaps("one") == 1
