"""Diagrams of the guide's pages about ways and places: ``make_guide_pictures.py`` draws them."""

from __future__ import annotations

import matplotlib.pyplot as plt

BLUE, ORANGE, GREY = "#3b76a8", "#d95f02", "#7a7a7a"


class Diagram:
    """Boxes with text, and arrows between them, in inches from the lower left corner."""

    def __init__(self, width: float, height: float):
        _, self.ax = plt.subplots(figsize=(width, height))
        self.ax.set_position((0, 0, 1, 1))
        self.ax.set(xlim=(0, width), ylim=(0, height))
        self.ax.set_axis_off()

    def box(self, x: float, y: float, width: float, height: float, text: str, color: str = BLUE, **look) -> None:
        """Draw a box around its middle (x, y)."""
        from matplotlib.patches import FancyBboxPatch

        corner = (x - width / 2, y - height / 2)
        shape = {"boxstyle": "round,pad=0,rounding_size=0.06", "linewidth": 1.3, "edgecolor": color}
        self.ax.add_patch(FancyBboxPatch(corner, width, height, **{**shape, "facecolor": f"{color}22", **look}))
        self.text(x, y, text)

    def text(self, x: float, y: float, text: str, color: str = "black", size: float = 9.5, **look) -> None:
        self.ax.text(x, y, text, **{"ha": "center", "va": "center", "color": color, "fontsize": size, **look})

    def arrow(self, start: tuple[float, float], end: tuple[float, float], color: str = GREY) -> None:
        style = {"arrowstyle": "-|>", "color": color, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
        self.ax.annotate("", end, start, arrowprops=style)

    def cells(self, x: float, y: float, n_rows: int, n_columns: int, size: float = 0.16, color: str = BLUE) -> None:
        """Draw a table around its middle."""
        from matplotlib.patches import Rectangle

        left, low = x - size * n_columns / 2, y - size * n_rows / 2
        for i in range(n_rows):
            for j in range(n_columns):
                corner = (left + j * size, low + i * size)
                self.ax.add_patch(Rectangle(corner, size, size, facecolor=f"{color}44", edgecolor="white", linewidth=1))


def getting_started() -> None:
    d = Diagram(6.6, 2.5)
    for x, n_columns, color, name in ((0.9, 8, BLUE, "a table"), (3.3, 2, ORANGE, "codes"), (5.7, 8, BLUE, "rebuilt")):
        d.cells(x, 1.55, 6, n_columns, color=color)
        d.text(x, 2.25, name)
    d.arrow((1.65, 1.55), (2.95, 1.55))
    d.arrow((3.65, 1.55), (4.95, 1.55))
    d.text(2.3, 1.75, "transform")
    d.text(4.3, 1.75, "inverse_transform", size=9)
    ends = (
        (0.95, "far from\nits rebuilt row:\nAEOutlierDetector"),
        (2.55, "a gap takes\nwhat is rebuilt:\nAEImputer"),
        (4.05, "codes for what\ncomes next: Autoen-\ncoderTransformer"),
        (5.65, "new codes make\nnew rows:\nVAETransformer"),
    )
    for x, text in ends:
        d.text(x, 0.5, text, size=8.5)


def how_it_works() -> None:
    d = Diagram(6.8, 2.4)
    steps = (
        (0.7, BLUE, "layout\nstandardise,\nencode, gaps"),
        (2.05, BLUE, "encoder"),
        (3.4, ORANGE, "posterior\nand code z"),
        (4.75, BLUE, "decoder"),
        (6.1, ORANGE, "likelihood\na term\na column"),
    )
    for x, color, text in steps:
        d.box(x, 1.6, 1.1, 0.85, text, color)
    for left in (1.25, 2.6, 3.95, 5.3):
        d.arrow((left, 1.6), (left + 0.25, 1.6))
    d.text(0.7, 2.25, "rows, in your units")
    d.box(3.4, 0.42, 2.6, 0.5, "loss: energy + beta · KL + penalty", GREY)
    d.arrow((3.4, 1.17), (3.4, 0.68))
    d.arrow((6.1, 1.17), (4.72, 0.5))
    d.text(2.6, 0.92, "KL from the prior", GREY, 8.5)
    d.text(5.9, 0.68, "energy", GREY, 8.5)
    d.text(0.95, 0.42, "trained by skorch,\nstep by step", GREY, 8.5)
    d.arrow((2.08, 0.42), (1.75, 0.42))


def large_tables() -> None:
    d = Diagram(6.4, 2.2)
    for place in range(6):
        d.box(0.9, 0.45 + 0.27 * place, 1.2, 0.23, "", ORANGE if place == 3 else BLUE)
    d.text(0.9, 2.05, "a file of any length")
    d.arrow((1.55, 1.26), (2.4, 1.26), ORANGE)
    d.text(1.98, 1.44, "a part", ORANGE, 8.5)
    d.box(3.1, 1.26, 1.3, 0.8, "ParquetRows,\nCSVRows, ...", ORANGE)
    d.arrow((3.8, 1.26), (4.55, 1.26))
    d.box(5.35, 1.26, 1.5, 0.8, "fit, transform,\nscore, sample", BLUE)
    d.text(3.1, 0.62, "in memory: one part", GREY, 8.5)
    d.arrow((5.35, 0.84), (5.35, 0.5))
    d.text(5.35, 0.33, "answers, in memory\nor piece by piece to a file", GREY, 8.5)
    d.text(3.1, 2.05, "read anew each epoch", GREY, 8.5)


def gpu() -> None:
    d = Diagram(6.4, 2.3)
    d.box(
        1.05,
        1.05,
        1.75,
        1.9,
        "on the CPU:\nreading, encoding,\nlinear start, densities\nof codes, a detector's\nscores, mixtures",
        BLUE,
    )
    d.box(
        4.1,
        1.05,
        1.75,
        1.9,
        "on device=:\nencoded rows, network,\nloss, gradients,\noptimizer, noise\nand corruption",
        ORANGE,
    )
    d.arrow((1.96, 1.5), (3.19, 1.5))
    d.text(2.57, 1.72, "encoded rows,\nonce a fit", size=8.5)
    d.arrow((3.19, 0.6), (1.96, 0.6))
    d.text(2.57, 0.82, "codes, scores,\nrebuilt rows", size=8.5)
    d.arrow((5.0, 1.05), (5.35, 1.05))
    d.text(5.85, 1.05, "weights,\nfiles, pickles:\nread on\neither", size=8.5)


def many_machines() -> None:
    d = Diagram(6.4, 2.4)
    d.box(0.8, 1.25, 1.2, 1.7, "a batch\nof rows", BLUE)
    for y, rank in ((1.75, 0), (0.75, 1)):
        d.arrow((1.42, y), (2.05, y))
        d.box(2.75, y, 1.35, 0.72, f"process {rank}:\nits half, its\ngradients", BLUE)
        d.arrow((3.45, y), (4.1, 1.25))
        d.arrow((5.2, 1.25), (5.45, y))
        d.text(5.95, y, f"the same\nstep in\nprocess {rank}", size=8.5)
    d.box(4.65, 1.25, 1.05, 0.8, "mean of\nall rows'\ngradients", ORANGE)
    d.text(3.2, 2.28, "torchrun --nproc-per-node=2 train.py", GREY, 8.5, family="monospace")


def parts() -> None:
    d = Diagram(6.8, 2.5)
    steps = (
        (0.75, ORANGE, "corruption\ndamages\nthe input"),
        (2.1, BLUE, "network\nencoder"),
        (3.45, ORANGE, "posterior\nwhere codes\nof a row lie"),
        (4.8, BLUE, "network\ndecoder"),
        (6.1, ORANGE, "likelihood\nof what the\ndecoder says"),
    )
    for x, color, text in steps:
        d.box(x, 1.85, 1.12, 0.8, text, color)
    for left in (1.31, 2.66, 4.01, 5.36):
        d.arrow((left, 1.85), (left + 0.2, 1.85))
    below = (
        (1.5, "penalty\non codes or weights"),
        (3.45, "divergence, beta\nfrom the prior"),
        (5.4, "critic\nan opponent"),
    )
    for x, text in below:
        d.box(x, 0.75, 1.75, 0.55, text, ORANGE)
    d.arrow((2.9, 1.45), (2.1, 1.05))
    d.arrow((3.45, 1.45), (3.45, 1.05))
    d.arrow((6.1, 1.45), (5.7, 1.05))
    d.text(3.4, 0.22, "orange and blue: parameters of the estimators, by name or as objects", GREY, 8.5)


def saving() -> None:
    d = Diagram(6.4, 2.0)
    d.box(0.95, 1.0, 1.3, 0.8, "fitted\nestimator", BLUE)
    d.arrow((1.62, 1.0), (2.3, 1.0))
    d.text(1.95, 1.2, "save", size=9)
    d.box(3.2, 1.0, 1.75, 1.5, "", ORANGE)
    d.text(3.2, 1.55, "wine.sklae", size=9.5, weight="bold")
    d.text(3.2, 0.92, "JSON: what it is,\nversion, checksum\narrays: weights,\nscales, levels")
    d.arrow((4.1, 1.0), (4.78, 1.0))
    d.text(4.45, 1.2, "load", size=9)
    d.box(5.45, 1.0, 1.3, 0.8, "the same\nto the last bit", BLUE)
    d.text(3.2, 0.1, "no code is in it, and none is run", GREY, 8.5)


def serving() -> None:
    d = Diagram(6.6, 2.2)
    d.cells(0.75, 1.1, 5, 6)
    d.text(0.75, 1.72, "a table as it comes")
    d.box(3.35, 1.1, 3.0, 1.35, "", ORANGE)
    d.text(3.35, 1.58, "one ONNX graph", weight="bold")
    for x, text in ((2.4, "levels,\ngaps,\nscaling"), (3.35, "network"), (4.3, "back to\nunits,\nscores")):
        d.box(x, 1.0, 0.8, 0.68, text, BLUE)
    d.arrow((2.8, 1.0), (2.95, 1.0))
    d.arrow((3.75, 1.0), (3.9, 1.0))
    d.arrow((1.3, 1.1), (1.82, 1.1))
    d.arrow((4.87, 1.1), (5.35, 1.1))
    d.text(5.95, 1.1, "codes,\nscores,\nlabels, ...")
    d.text(3.35, 0.2, "run by onnxruntime: no PyTorch, no scikit-learn, no sklae", GREY, 8.5)


DIAGRAMS = (getting_started, gpu, how_it_works, large_tables, many_machines, parts, saving, serving)
