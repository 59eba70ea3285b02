"""`python -m tidegate_cli.local.tethered MODULE FD`: run MODULE's `main()`, and end it when the process that started it is gone.

The parent holds the write end of the pipe whose read end is FD and never writes. However the parent ends, kill -9 included, the
kernel closes its end; the read here then returns, and the service gets the SIGTERM it would have got from a parent that had time.
"""

import importlib
import os
import signal
import sys
import threading


def main() -> None:
    module, fd = sys.argv[1], int(sys.argv[2])
    threading.Thread(target=_end_with_parent, args=(fd,), daemon=True).start()
    sys.argv = [module]
    importlib.import_module(module).main()


def _end_with_parent(fd: int) -> None:
    os.read(fd, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
