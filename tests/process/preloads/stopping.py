"""A preload after which the zygote stops itself at each fork: before it, or between it and the report on the child."""

import os
import signal

from actorflow.process.launch.zygote import Zygote

fork = Zygote._fork


def fork_and_stop(zygote):
    if os.environ["AF_TEST_STOP"] == "before":
        os.kill(os.getpid(), signal.SIGSTOP)
        return fork(zygote)
    pid, life = fork(zygote)
    if pid:
        os.kill(os.getpid(), signal.SIGSTOP)
    return pid, life


Zygote._fork = fork_and_stop
