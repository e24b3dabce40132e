"""Pairs of English sentences with a spread of likeness, the same every time: WordNet's definitions and examples."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path

SEED = 20261
LEAST_WORDS, MOST_WORDS = 5, 40
EXAMPLE = re.compile(r'"([^"]+)"')


@dataclass(frozen=True)
class Entry:
    """A meaning of a noun: what it is, sentences that use it, and the numbers of more general meanings."""

    definition: str
    examples: tuple[str, ...]
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """Two sentences, and how they belong together."""

    kind: str
    left: str
    right: str


def _entry(line: str) -> tuple[str, Entry]:
    """A line of data.noun (wndb(5WN)): offset file type words... pointers... | gloss."""
    fields, gloss = line.split(" | ", 1)
    words = fields.split()
    at = 4 + 2 * int(words[3], 16)
    pointers = [words[at + 1 + 4 * i : at + 5 + 4 * i] for i in range(int(words[at]))]
    parents = tuple(target for symbol, target, part, _ in pointers if symbol in {"@", "@i"} and part == "n")
    definition = EXAMPLE.sub("", gloss).strip(" ;\n")
    return words[0], Entry(definition, tuple(EXAMPLE.findall(gloss)), parents)


def read_entries(file: Path) -> dict[str, Entry]:
    """All meanings by number."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(_entry(line) for line in lines if not line.startswith("  "))


def _fits(text: str) -> bool:
    return LEAST_WORDS <= len(text.split()) <= MOST_WORDS


def make_pairs(entries: dict[str, Entry], each: int) -> list[Pair]:
    """`each` pairs of every kind: a meaning and a more general one, two kinds of the same thing, a definition and a
    sentence that uses the word, two such sentences, and two meanings at random."""
    chance = random.Random(SEED)
    kept = {number: entry for number, entry in sorted(entries.items()) if _fits(entry.definition)}
    children: dict[str, list[str]] = {}
    for number, entry in kept.items():
        for parent in entry.parents:
            children.setdefault(parent, []).append(number)
    numbers = list(kept)
    general = [(n, p) for n, entry in kept.items() for p in entry.parents if p in kept]
    families = [family for family in children.values() if len(family) > 1]
    used = [(entry.definition, text) for entry in kept.values() for text in entry.examples if _fits(text)]
    several = [texts for entry in kept.values() if len(texts := [t for t in entry.examples if _fits(t)]) > 1]
    pairs = [Pair("general", kept[a].definition, kept[b].definition) for a, b in chance.sample(general, each)]
    for family in chance.sample(families, each):
        left, right = chance.sample(family, 2)
        pairs.append(Pair("sisters", kept[left].definition, kept[right].definition))
    pairs += [Pair("example", *texts) for texts in chance.sample(used, each)]
    pairs += [Pair("examples", *chance.sample(texts, 2)) for texts in chance.sample(several, each)]
    for _ in range(each):
        left, right = chance.sample(numbers, 2)
        pairs.append(Pair("random", kept[left].definition, kept[right].definition))
    return pairs
