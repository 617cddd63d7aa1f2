"""What the stage words of an account probably mean: a proposal for a new config, to be read by a person. Pure.

A word that a mapping knows needs no proposal. For any other one the words of all systems' mappings are asked first,
then what its parts hint at, then what it is spelled like. Where hints point to several stages nothing is proposed: a
wrong stage moves people, a missing one only holds them.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from syncd.mapping import STAGES, Words, key_text

ALIKE = 0.85  # how much two spellings must have in common, as difflib measures it
HINTS: Mapping[str, str] = {
    "sourced": "sourced sourcing lead leads prospect prospects",
    "applied": "applied applicant applicants application applications new inbox received submitted",
    "shortlisted": "shortlist shortlisted longlist longlisted",
    "screening": "screen screens screening screened prescreening phone recruiter",
    "assessment": "assessment assessments test tests testing task challenge exercise assignment homework case",
    "interview": "interview interviews interviewing interviewed onsite chat panel trial",
    "offer": "offer offers offered",
    "hired": "hired hire placed joined onboarding started",
    "rejected": "rejected reject rejection declined disqualified unsuccessful",
    "withdrawn": "withdrawn withdrew withdraw",
}
_HINTS = {hint: stage for stage, hints in HINTS.items() for hint in hints.split()}


@dataclass(frozen=True)
class Proposal:
    """One connection's stage map, as far as its mapping does not have it.

    ``known``: how many of the account's words the mapping knows. ``read``: theirs -> ours, proposed. ``unmatched``:
    theirs, for a person to say. ``write``: ours -> theirs, where the account lacks the words that the mapping would
    write. ``unsayable``: ours that are said at the other end and have no word here.
    """

    known: int = 0
    read: Mapping[str, str] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()
    write: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unsayable: tuple[str, ...] = ()


def propose(there: Sequence[str], words: Words, said: Iterable[str], lexicon: Mapping[str, str]) -> Proposal:
    """A proposal for the words of an account, ``said`` being our stages that may come from the other end.

    ``lexicon``: folded words of any system -> ours (see ``lexicon_of``).
    """
    unknown = [word for word in dict.fromkeys(there) if words.ours(word) is None]
    read = {word: stage for word in unknown if (stage := meaning(word, lexicon)) is not None}
    present = {word.casefold() for word in there}
    write, unsayable = {}, []
    for stage in sorted(set(said), key=STAGES.index):
        if not present or any(word.casefold() in present for word in words.theirs(stage)):
            continue
        if fitting := tuple(word for word, ours in read.items() if ours == stage):
            write[stage] = fitting
        else:
            unsayable.append(stage)
    unmatched = tuple(word for word in unknown if word not in read)
    return Proposal(len(set(there)) - len(unknown), read, unmatched, write, tuple(unsayable))


def meaning(word: str, lexicon: Mapping[str, str]) -> str | None:
    """Our stage for a word of theirs; None: nothing hints at one stage alone."""
    folded = folded_of(word)
    if folded in lexicon:
        return lexicon[folded]
    parts = [*folded.split(), folded.replace(" ", "")]
    hinted = {_HINTS[part] for part in parts if part in _HINTS}
    if hinted:
        return hinted.pop() if len(hinted) == 1 else None
    near = difflib.get_close_matches(folded, lexicon, n=1, cutoff=ALIKE)
    return lexicon[near[0]] if near else None


def lexicon_of(maps: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The words of all systems' stage maps, folded; a word that means one stage here and another there is left out."""
    meanings: dict[str, set[str]] = {stage: {stage} for stage in STAGES}
    for read in maps:
        for word, stage in read.items():
            meanings.setdefault(folded_of(word), set()).add(stage)
    return {word: stages.copy().pop() for word, stages in meanings.items() if word and len(stages) == 1}


def folded_of(word: str) -> str:
    """A word without case, punctuation and the like."""
    return " ".join(re.findall(r"\w+", key_text(word)))
