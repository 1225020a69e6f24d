"""A preload that never ends."""

import os
import threading

os.write(int(os.environ["AF_TEST_TELL"]), b"x") if "AF_TEST_TELL" in os.environ else None
threading.Event().wait()
