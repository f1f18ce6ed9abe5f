"""A script for torchrun: a fit of which rank 1 takes leave in the second epoch.

``torchrun --nproc-per-node=2 broken_fits.py raises | killed | stuck | goes_on``
"""

import os
import signal
import sys
import time

from shared_fits import PLAIN, table
from skorch.callbacks import Callback

import sklae
from sklae import AutoencoderTransformer


class Leaves(Callback):
    def __init__(self, how):
        self.how = how

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) < 2 or os.environ["RANK"] != "1":
            return
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "stuck":
            time.sleep(60)
        raise OSError("the disk of rank 1 is full")


def main(how):
    ae = AutoencoderTransformer(2, callbacks=[Leaves(how)], **{**PLAIN, "max_iter": 20})
    try:
        with sklae.distributed.data_parallel(timeout=2.0 if how == "stuck" else 60.0):
            ae.fit(table())
    except OSError:
        if how != "goes_on":
            raise
        time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1])
