#!/usr/bin/env python3
"""Checks that a program shown in a text is the one in a file: readme.py README.md FILE..."""
import pathlib
import sys

text = pathlib.Path(sys.argv[1]).read_text()
missing = [name for name in sys.argv[2:] if pathlib.Path(name).read_text().strip() not in text]
print("\n".join(f"{sys.argv[1]} does not show {name} as it is" for name in missing) or "the text shows what is compiled")
sys.exit(1 if missing else 0)
