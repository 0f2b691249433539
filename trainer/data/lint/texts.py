"""What each remark means, why it matters, what to do, and how loud it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from trainer.data.lint.flag import Flag
from trainer.findings import Finding, Level, finding

EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Text:
    level: Level
    what: str  # of one sample, in a few words
    why: str
    fix: str
    mechanical: bool = False  # `--fix` leaves the samples out


_LEFT_OUT = "`--fix` leaves them out by an overlay"
TEXTS: dict[str, Text] = {
    "DAT070": Text(
        "warn",
        "does not decode to its end",
        "a damaged picture is skipped, or trained with a grey lower half",
        f"replace the files; {_LEFT_OUT}",
        mechanical=True,
    ),
    "DAT071": Text(
        "warn",
        "animated, or of several pages",
        "only their first frame is trained on",
        'extract the frames that matter, or use kind = "video"',
    ),
    "DAT072": Text(
        "info",
        "transparent parts",
        "they are filled with data.background, which the model learns with them",
        "set data.background, or put them on a background of your own",
    ),
    "DAT073": Text(
        "info",
        "colours that are not sRGB",
        "they are converted to sRGB, which other programs may not do alike",
        "nothing, unless they were judged or masked in a program that ignores profiles",
    ),
    "DAT074": Text(
        "info",
        "stored turned, with an EXIF mark",
        "they are trained upright; masks and control pictures must be upright too",
        "nothing, unless other tools have cropped or masked them",
    ),
    "DAT075": Text(
        "warn",
        "ending of another format",
        "other programs may refuse them, and a dataset of this kind often has other accidents",
        "rename the files",
    ),
    "DAT009": Text(
        "warn",
        "exact copy of another",
        "a copy counts as often as it occurs",
        f"remove the copies, or keep them if the weight is meant; {_LEFT_OUT}",
        mechanical=True,
    ),
    "DAT076": Text(
        "warn",
        "nearly the same as another",
        "the picture counts several times and is learnt by heart",
        f"keep the best one; {_LEFT_OUT}",
        mechanical=True,
    ),
    "DAT077": Text(
        "warn",
        "also in the held-out data",
        "the held-out loss then measures memory, not learning",
        f"remove them from one side; {_LEFT_OUT} of the training side",
        mechanical=True,
    ),
    "DAT008": Text(
        "warn",
        "enlarged by more than 1.25",
        "they are smaller than the training size; the model learns their blur",
        "lower the resolution, or leave them out with max_upscale = 1.25",
    ),
    "DAT078": Text(
        "warn",
        "no sharp place",
        "the model learns to draw blur",
        "look at them with --sheet; --exclude DAT078 leaves them out",
    ),
    "DAT079": Text(
        "warn",
        "almost black, almost white, or no contrast",
        "there is nothing to learn from them but the emptiness",
        "look at them with --sheet; --exclude DAT079 leaves them out",
    ),
    "DAT080": Text(
        "warn",
        "bars along the edges",
        "the model learns to draw bars",
        "cut them off; --exclude DAT080 leaves them out",
    ),
    "DAT081": Text(
        "warn",
        "strong JPEG damage",
        "the model learns the blocks",
        "find better copies; --exclude DAT081 leaves them out",
    ),
    "DAT014": Text(
        "info",
        "longer than 4:1, so cut",
        "only part of them is seen; their captions may speak of the rest",
        "split them into several pictures",
    ),
    "DAT082": Text(
        "info",
        "shape unlike the rest",
        "each forms a bucket of its own, which fills a batch only after many epochs",
        "crop them, or leave them out with min_aspect and max_aspect",
    ),
    "DAT084": Text(
        "warn",
        "caption with characters of an encoding error",
        "the text encoder reads noise",
        "`--fix` puts the mended captions into an overlay where that is possible",
    ),
    "DAT085": Text(
        "warn",
        "caption shared with many others",
        "what differs between them is tied to no word",
        "describe each of them",
    ),
    "DAT086": Text(
        "warn",
        "caption longer than the text encoder reads",
        "the end of the caption is cut off",
        "shorten them, the most important first",
    ),
    "DAT087": Text(
        "info",
        "caption of another style than the rest",
        "the model learns two languages with half of the examples each",
        "write all of them in one style, the one you will prompt in",
    ),
    "DAT088": Text(
        "warn",
        "trigger word missing or misspelt",
        "the subject is tied to several words, and to none firmly",
        "`--fix` puts the right spelling into an overlay; add the word where it is missing",
    ),
    "DAT089": Text(
        "warn",
        "caption holds a file name",
        "the model learns names of files as words",
        "`--fix` puts captions without them into an overlay",
    ),
    "DAT015": Text(
        "warn",
        "belongs to no sample",
        "a partner has the path of its sample below its own folder",
        "rename or remove them",
    ),
    "DAT018": Text(
        "warn",
        "no partner",
        "its mask or conditioning picture is part of what is learned",
        'add the file under the same name, or set data.missing_partner = "skip"',
    ),
    "DAT019": Text(
        "warn",
        "partner of another shape",
        "a strict partner is cut by the same box as its sample",
        'make both of one shape, or pair them with match = "loose"',
    ),
    "DAT092": Text(
        "warn",
        "mask is empty or full",
        "they mask nothing, or everything",
        f"draw them anew; {_LEFT_OUT}",
        mechanical=True,
    ),
    "DAT093": Text(
        "warn",
        "fewer frames than the training needs",
        "short clips are left out, or form buckets of their own",
        "lower video.frames, or leave them out with video.min_frames",
    ),
    "DAT094": Text(
        "info",
        "variable frame rate",
        "frames that are picked by number do not lie evenly in time",
        "set video.fps, or convert them to a constant rate",
    ),
    "DAT095": Text(
        "warn",
        "no sound",
        "the model would learn silence",
        "remove them, or add the sound",
    ),
    "DAT096": Text(
        "info",
        "far longer or shorter than the rest",
        "most of a long one is never seen; a short one forms a bucket of its own",
        "split or remove them, or set min_s and max_s",
    ),
}


def as_findings(flags: Iterable[Flag]) -> list[Finding]:
    """One finding for each dataset and code, with the first names."""
    grouped: dict[tuple[str, str], list[Flag]] = defaultdict(list)
    for flag in flags:
        grouped[flag.code, flag.dataset].append(flag)
    return [_finding(*key, own) for key, own in grouped.items()]


def _finding(code: str, dataset: str, flags: list[Flag]) -> Finding:
    text, first = TEXTS[code], flags[0]
    more = f" and {len(flags) - 1} more" if len(flags) > 1 else ""
    return finding(
        code,
        f"{dataset}: {text.what}: {first.path} ({first.detail}){more}",
        where=dataset,
        why=text.why,
        fix=text.fix,
        level=text.level,
        count=len(flags),
        files=[flag.document() for flag in flags[:EXAMPLES]],
    )
