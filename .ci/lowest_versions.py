"""Print the oldest versions that a wheel allows, as constraints for pip.

``lowest_versions.py WHEEL``: all but that of torch, of which a fresh environment has the build for
CPUs of requirements.lock.
"""

from __future__ import annotations

import re
import sys
import zipfile
from email.parser import Parser


def main(wheel: str) -> None:
    """Read the requirements of the wheel's own metadata, without those of extras."""
    with zipfile.ZipFile(wheel) as parts:
        [name] = [each for each in parts.namelist() if each.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(parts.read(name).decode("utf-8"))
    for requirement in metadata.get_all("Requires-Dist", []):
        found = re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement.strip())
        if found is None and "extra ==" not in requirement:
            sys.exit(f"{requirement!r} has no lower bound alone")
        if found is not None and found[1] != "torch":
            print(f"{found[1]}=={found[2]}")


main(sys.argv[1])
