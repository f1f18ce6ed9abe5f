"""Two processes that call the same function, as under torchrun, without its seconds to start."""

import multiprocessing
import os
import socket
from multiprocessing.connection import Connection


def run_together(function, *args, n_processes=2):
    """Return what the function gave, or raised, in each rank."""
    context = multiprocessing.get_context("fork")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pipes, processes = [], []
    for rank in range(n_processes):
        here, there = context.Pipe(duplex=False)
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": n_processes, "MASTER_PORT": port}
        processes.append(context.Process(target=_work, args=(there, place, function, args), daemon=True))
        processes[-1].start()
        there.close()
        pipes.append(here)
    try:
        return [_answer(pipe) for pipe in pipes]
    finally:
        for process in processes:
            process.kill()
            process.join()


def _answer(pipe: Connection):
    """Return what a process sent; None of one that was killed."""
    try:
        return pipe.recv() if pipe.poll(120) else None
    except EOFError:
        return None


def _work(pipe: Connection, place, function, args):
    os.environ.update({name: str(value) for name, value in place.items()}, MASTER_ADDR="127.0.0.1")
    try:
        found = function(*args)
    except Exception as error:
        error.__cause__ = None  # of PyTorch, which may not survive a pickle
        found = error
    pipe.send(found)
