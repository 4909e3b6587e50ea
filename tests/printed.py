"""Text that a document quotes against what is printed now, up to Monte Carlo error.

The same seed gives the same draws on the same machine; on another one rounding differs, chains
part, and numbers move by their Monte Carlo error. Words and counts must agree exactly.
"""

from __future__ import annotations

import re

from bayes_pref.diagnostics.verdicts import VERDICTS

# Two runs of 1,500 effective draws put the ends of a 90 % interval within
# 4 * sqrt(2 * 0.05 * 0.95 / 1500) / 0.103 = 0.31 posterior sds of each other; documents quote sds
# of at most 0.8. Three decimals are quoted of averages over hundreds of choices only.
TOLERANCE = {1: 0.25, 2: 0.25, 3: 0.02}
POINTS = 3.0  # shares of hundreds of weights or choices, in per cent

# A count of verdicts counts posterior probabilities on one side of a threshold. Of 1,500 draws one
# near 0.95 has a standard error of 0.006, so that of hundreds of comparisons some cross it.
FEW, SHARE = 3, 0.03

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?!\w)(?:\s?%|\ss\b)?")
_COUNT = re.compile(rf"({'|'.join(VERDICTS)})\s+(\d[\d,]*)")
_PART = re.compile(rf"({_NUMBER.pattern})|(\.\.\.)|(\s+)")


def disagreement(quoted: str, printed: str) -> str:
    """Say where what is quoted is not what is printed; empty if they agree.

    Parameters
    ----------
    quoted
        Lines of which all must be printed, in this order and with no others between. A line
        ``...`` stands for any lines, and three dots within a line for any text.
    printed
        What was printed. Blank lines and the width of gaps do not count, on either side.
    """
    rest = _lines(printed)
    passages = [_lines(part) for part in re.split(r"(?m)^\s*\.\.\.\s*$", quoted)]
    for number, passage in enumerate(passages):
        places = range(len(rest) - len(passage) + 1)
        if number == 0:
            places = range(min(1, len(places)))
        if number == len(passages) - 1:
            places = range(max(places.start, len(rest) - len(passage)), places.stop)
        found = [k for k in places if all(map(same, passage, rest[k : k + len(passage)]))]
        if not found:
            there = "\n".join(rest)
            return "quoted\n" + "\n".join(passage) + f"\nwhere this is printed\n{there}"
        rest = rest[found[0] + len(passage) :]
    return ""


def same(quoted: str, printed: str) -> bool:
    """Whether a line is the one quoted, up to Monte Carlo error and gaps."""
    pattern, numbers, end = "", [], 0
    for part in _PART.finditer(quoted):
        pattern += re.escape(quoted[end : part.start()])
        number, dots, _ = part.groups()
        pattern += f"({_NUMBER.pattern})" if number else r".*?" if dots else r"\s+"
        numbers += [number] if number else []
        end = part.end()
    if _counts(quoted, printed):
        return True
    found = re.fullmatch(pattern + re.escape(quoted[end:]), printed)
    return found is not None and all(map(close, numbers, found.groups()))


def _counts(quoted: str, printed: str) -> bool:
    """Whether two lines give about as many comparisons the same verdict."""
    one, other = (_COUNT.fullmatch(line) for line in (quoted, printed))
    if one is None or other is None or one[1] != other[1]:
        return False
    numbers = int(one[2].replace(",", "")), int(other[2].replace(",", ""))
    return abs(numbers[0] - numbers[1]) <= max(FEW, SHARE * numbers[0])


def close(quoted: str, printed: str) -> bool:
    """Whether two numbers with their units could come from two runs of the same fit."""
    units = [number.lstrip("-+,.0123456789").strip() for number in (quoted, printed)]
    if units[0] != units[1]:
        return False
    if units[0] == "s":
        return True  # how long it took
    one, other = (float(number.rstrip("%s ").replace(",", "")) for number in (quoted, printed))
    if units[0] == "%":
        return abs(one - other) <= POINTS
    decimals = len(quoted.partition(".")[2])
    if not decimals:
        return one == other
    # Those above 100 are effective sample sizes, which are estimates of their own.
    return abs(one - other) <= (0.5 * one if one > 100 else TOLERANCE[min(decimals, 3)])


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]
