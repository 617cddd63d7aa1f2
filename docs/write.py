"""Writes the pages of this folder that are made from the code: ``make docs``."""

from pathlib import Path

from syncd import measures

PAGES = {"metrics.md": measures.reference}

if __name__ == "__main__":
    for name, made in PAGES.items():
        Path(__file__).with_name(name).write_text(made(), "utf-8")
