"""Draw the pictures of docs/guide/pictures.md by running its code: ``python docs/make_pictures.py``."""

from __future__ import annotations

import io
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

HERE = Path(__file__).parent
PAGE = HERE / "guide" / "pictures.md"


def write(figure: Figure, target: Path, dpi: int = 80) -> None:
    """Write a figure as a PNG of few colours, which make small files."""
    target.parent.mkdir(parents=True, exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=dpi)
    Image.open(drawn).convert("RGB").quantize(200, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target.relative_to(HERE)}: {target.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Run block after block; a picture that follows one is what it drew last."""
    namespace: dict = {}
    pattern = r"^```python\n(.*?)^```$|^!\[[^\]]*\]\(([^)]+)\)$"
    for match in re.finditer(pattern, PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL):
        code, picture = match.groups()
        if code is not None:
            exec(compile(code, str(PAGE), "exec"), namespace)
            continue
        write(plt.gcf(), (PAGE.parent / picture).resolve())
        plt.close("all")


if __name__ == "__main__":
    main()
