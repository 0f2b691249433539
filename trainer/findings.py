"""The one record in which every check reports what it found.

A finding says what is wrong, where, why it matters and how to mend it, and carries a stable
code. Linters, the data layer, checkpoints, the daemon and the doctor all emit it; the CLI and the
TUI render it. `CODES` holds one documentation paragraph per code: an undocumented code is a
programming error and is refused when the finding is made.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Level = Literal["info", "warn", "error"]

LEVELS: tuple[Level, ...] = ("info", "warn", "error")


class Finding(BaseModel):
    """One observation with its reason and its remedy."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    level: Level = "error"
    where: str = Field(default="", description="file, file:line, key path or object id")
    message: str
    why: str = ""
    fix: str = ""
    patch: dict[str, Any] | None = Field(
        default=None, description="key path -> new value (None removes the key)"
    )
    evidence: dict[str, Any] = Field(default_factory=dict)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        fix = f" Fix: {self.fix}" if self.fix else ""
        return f"{self.level} {self.code} {place}{self.message}{fix}"


def finding(
    code: str,
    message: str,
    *,
    where: str = "",
    why: str = "",
    fix: str = "",
    level: Level = "error",
    patch: dict[str, Any] | None = None,
    **evidence: Any,
) -> Finding:
    """Make a finding whose code is documented."""
    assert code in CODES, f"finding code {code} has no entry in trainer.findings.CODES"
    return Finding(
        code=code,
        level=level,
        where=where,
        message=message,
        why=why,
        fix=fix,
        patch=patch,
        evidence=evidence,
    )


def at_or_above(findings: list[Finding], level: Level) -> list[Finding]:
    """The findings whose level is `level` or more severe."""
    floor = LEVELS.index(level)
    return [f for f in findings if LEVELS.index(f.level) >= floor]


CODES: dict[str, str] = {
    # --- configuration -------------------------------------------------------------------
    "CFG001": "The job file cannot be read.",
    "CFG002": "The job file is empty.",
    "CFG003": "The job file is not well-formed TOML, YAML or JSON; the line is named.",
    "CFG004": "A key does not exist. It would have no effect, so it is an error; the nearest "
    "names, and the names that other trainers' options have here, are offered.",
    "CFG005": "A required key is missing.",
    "CFG006": "A value has the wrong type, is out of bounds, or is not one of the allowed ones.",
    "CFG007": "An override on the command line is not KEY=VALUE.",
    "CFG008": "Presets build on each other in a circle.",
    "CFG010": "A job builds on a preset that does not exist.",
    "CFG011": "The model family is not known.",
    "CFG012": "The family has no flavour of this name.",
    "CFG013": "A prediction type was given for a model that has only one: velocity in flow models, "
    "noise on a continuous schedule.",
    "CFG014": "Zero terminal SNR was asked of a model without a discrete noise schedule.",
    "CFG015": "Zero terminal SNR needs v prediction: at pure noise an epsilon model would have "
    "to repeat its input.",
    "CFG016": "Options of another family are set; they would have no effect.",
    "CFG017": "A text length was set for a family whose text length is fixed.",
    "CFG018": "The text length is beyond what the text encoder was trained for.",
    "CFG019": "An optimiser that keeps bf16 weights was combined with fp32 precision.",
    "CFG020": "The autoencoder of this family overflows in fp16.",
    "CFG021": "Full training without gradient checkpointing needs much memory.",
    "CFG022": "The weights are neither a folder, nor a .safetensors file, nor a hub id.",
    "CFG023": "A hub revision was given for a model that is a local folder.",
    "CFG024": "The training size is far from the one the published checkpoint was made for.",
    "CFG030": "An adapter is configured although all weights are trained.",
    "CFG031": "The family has no target preset of this name.",
    "CFG032": "Both a target preset and a list of targets are given.",
    "CFG033": "The adapter's scale alpha / rank is unusually large.",
    "CFG034": "The adapter's rank is unusually large.",
    "CFG035": "A file layout is named twice.",
    "CFG036": "The adapter file to start from does not exist.",
    "CFG037": "An initialisation was chosen for an adapter that starts from a file.",
    "CFG038": "Most of the adapter's inputs are dropped.",
    "CFG040": "The run has no length: neither steps nor epochs.",
    "CFG041": "The run has two lengths: steps and epochs.",
    "CFG042": "The warm-up is longer than the run.",
    "CFG043": "The final learning rate is above the initial one.",
    "CFG044": "A schedule parameter has no effect on the chosen schedule.",
    "CFG045": "An average of weights was asked of an optimiser that averages them itself.",
    "CFG046": "The average is configured but not enabled.",
    "CFG047": "The average reaches back further than the run is long.",
    "CFG048": "No checkpoint is written before the end of the run.",
    "CFG049": "Nothing is logged before the end of the run.",
    "CFG050": "Most of the run is warm-up.",
    "CFG051": "The schedule has more cycles than the run has steps.",
    "CFG052": "The average is never updated within the run.",
    "CFG053": "An interval of validation or measurement is longer than the run.",
    "CFG060": "The optimiser is not known.",
    "CFG061": "The optimiser does not have this argument.",
    "CFG062": "Prodigy estimates its step size; its lr is a multiplier near 1.",
    "CFG063": "The learning rate is far above what diffusion models bear.",
    "CFG064": "A schedule was given to an optimiser that needs none.",
    "CFG065": "Betas must lie between 0 and 1.",
    "CFG066": "Gradients are clipped so hard that nearly every step is cut.",
    "CFG067": "Prodigy would take the warm-up for a sign that it is near its goal.",
    "CFG068": "Schedule and optimiser both warm up.",
    "CFG070": "Noise options for flow models are set on a model that is none.",
    "CFG071": "Min-SNR weighting is not defined for flow models.",
    "CFG072": "A density parameter belongs to another density.",
    "CFG073": "The shift must be positive.",
    "CFG074": "Huber settings without a Huber loss.",
    "CFG075": "The shift leaves hardly any training below pure noise.",
    "CFG076": "The beta density lies at the ends of the range of times.",
    "CFG080": "The job has no dataset to train on.",
    "CFG081": "Two datasets have the same id.",
    "CFG082": "The caption source instanceprompt needs a prompt.",
    "CFG083": "Captions are to be preceded by a prompt that is not given.",
    "CFG084": "A caption prompt is set that nothing uses.",
    "CFG085": "Most captions are dropped.",
    "CFG086": "The training size is too small for the latent grid.",
    "CFG087": "The training size is rounded to the family's multiple.",
    "CFG088": "A dataset can never fill a batch, and leftovers are dropped.",
    "CFG089": "Repeats or leftovers were set for a dataset that is only measured.",
    "CFG090": "Validation has an interval but no prompts.",
    "CFG091": "The validation size does not fit the family's multiple.",
    "CFG092": "A validation prompt is empty.",
    "CFG093": "A held-out loss was asked for without held-out data.",
    "CFG094": "The style distance needs validation pictures.",
    "CFG095": "A dataset is both trained and measured on.",
    "CFG096": "A name in checkpoint.allow is no identity field.",
    "CFG097": "Two datasets train on the same folder at the same size.",
    "CFG098": "A policy for missing captions was set, but no dataset can miss any.",
    "CFG101": "There are validation prompts, but no moment at which they are drawn.",
    "CFG102": "A validation key is set while validation is off.",
    "CFG103": "A negative prompt is set while guidance is off.",
    "CFG104": "A negative prompt may not act on a model that takes guidance as an input.",
    "CFG105": "Differences are allowed for a resume that never happens.",
    "CFG140": "Crops are to have one of several shapes, but none is given.",
    "CFG141": "A crop setting has no effect together with the others.",
    "CFG142": "The weights of crop shapes do not fit the shapes.",
    "CFG143": "A crop shape is longer than 4:1, or is no shape.",
    "CFG144": "Pictures would be made larger by downsampling them.",
    "CFG145": "The size that large pictures are downsampled to is not above the training size.",
    "CFG146": "The limits of width / height exclude every picture.",
    "CFG147": "Training sizes would not be multiples of what the family needs.",
    "CFG148": "A size or crop is set for a dataset that has no pictures, or whose pictures are cut "
    "as those of another are.",
    "CFG149": "With reference sizes all pictures are downsampled, not only those above the limit.",
    "CFG150": "A caption filter cannot be read: it is empty, or its regular expression, its "
    "replacement or its flags are wrong.",
    "CFG151": "A caption template cannot be read, or names something that is no placeholder.",
    "CFG152": "A caption template leaves out the captions that are read for it.",
    "CFG153": "A caption setting has no effect with the source of the captions.",
    "CFG154": "Captions are to come from a column, but the dataset is no table.",
    "CFG155": "Tags of file names are to be shuffled by a separator that names do not hold.",
    "CFG156": "A shared setting is overridden by every dataset.",
    "CFG157": "Captions are set for partners, which are shown with their samples' captions.",
    "CFG170": "More frames are asked for than clips are cut to.",
    "CFG171": "Clips are cut to fewer frames than the interval that their counts are lowered to.",
    "CFG172": "Recordings are cut to less than the interval that durations are lowered to.",
    "CFG173": "Lyrics and captions of recordings would be read from the same files.",
    "CFG174": "The ending of lyrics files is no ending of a file name.",
    "CFG176": "Lyrics are asked of a source that has no files beside its recordings.",
    "CFG175": "Settings for video or audio are made where no samples of that kind are.",
    "CFG110": "A partner of samples comes either from a dataset or from a generator.",
    "CFG111": "A dataset that is named as a partner does not exist.",
    "CFG112": "A dataset that is named as a partner is disabled, or has neither the role mask nor "
    "conditioning.",
    "CFG113": "A dataset of masks or conditioning pictures is the partner of no other.",
    "CFG114": "A generator, or a mask, does not have this option.",
    "CFG115": "An option of a generator has the wrong type, is out of bounds, or contradicts "
    "another.",
    "CFG116": "A generator needs an option that has no default.",
    "CFG117": "A generator cannot be used on samples of this kind.",
    "CFG118": "The family does not look at conditioning pictures.",
    "CFG119": "A setting of a partner has no effect beside its other settings.",
    "CFG120": "Partners were given to samples that have no use for them.",
    "CFG121": "A slider needs an adapter, whose strength it sets.",
    "CFG122": "A prior dataset needs an adapter: switched off, it leaves the base model, whose "
    "predictions are kept.",
    "CFG123": "At strength 0 the adapter does not act, so the dataset trains nothing.",
    "CFG125": "Times cannot be moved: the family or the density has no normal draw.",
    "CFG127": "Settings for masks are given, but no dataset has masks.",
    "CFG128": "Masks are never used, because their probability is 0.",
    "CFG160": "A dataset is of a kind that the family is not trained on.",
    "CFG161": "A suffix was given for a dataset whose samples are not partners of others.",
    "CFG162": "The overlay file of a dataset does not exist.",
    "CFG163": "Batches are to be prepared ahead, but there are no workers to do so.",
    "CFG164": "A setting on partners of samples is set, but no dataset has such partners.",
    "CFG130": "A dataset has a weight, but data.mix is epoch: repeats decide there.",
    "CFG131": "A dataset has repeats, but data.mix is stream: weights decide there.",
    "CFG132": "The schedule of a dataset (active) ends before it begins.",
    "CFG133": "The schedules of the datasets leave a time in which none is active.",
    "CFG134": "A dataset becomes active only after the end of the run.",
    "CFG135": "A slider has only one side.",
    "CFG136": "A setting of drawing (weight, batch_size, active, slider, timestep_offset) is given "
    "to a dataset that no training batches are drawn from.",
    "CFG137": "Epochs are to end the run, but with data.mix stream they are rounds of the first "
    "dataset, which stops taking part.",
    "CFG138": "The weight of a dataset is so small beside the others, or so large, that its share "
    "cannot be dealt out.",
    "CFG180": "A dataset has no place where its samples lie: neither path nor source.",
    "CFG181": "A dataset has two places: path and source.",
    "CFG182": "A key of a source does not apply to its kind.",
    "CFG183": "A source lacks a key that its kind needs.",
    "CFG184": "Something that looks like a secret stands in a job file.",
    "CFG185": "The address of a service is no http or https URL.",
    "CFG187": "Captions come from files beside the samples, but the source has none beside them.",
    "CFG188": "A file ending lacks its dot.",
    "CFG190": "Pictures to edit were given to a family that does not look at pictures.",
    "CFG191": "A checkpoint that edits pictures is to be trained on samples that are made from "
    "none.",
    "CFG192": "A checkpoint that edits pictures is to draw from prompts alone.",
    "CFG193": "Samples are made from more pictures than the checkpoint takes.",
    "CFG194": "One of several pictures is to be drawn, although the text was read with all.",
    "CFG195": "A picture is to have a size of its own, but the checkpoint lays it over the sample.",
    "CFG189": "Partners beside the samples were asked of a source that has nothing beside them.",
    "CFG200": "Pictures are larger than the table of positions that the checkpoint has learned.",
    "CFG230": "Weights would be kept in a precision that the family does not bear.",
    "CFG231": "The picture encoder of the family is not where its latents are to come from.",
    "CFG232": "The decoder that draws validation pictures is not there, so none are drawn.",
    "CFG233": "Two weightings of the noise levels are set, of which one takes the other's place.",
    "CFG234": "A choice about the spread of latents is made for an encoder that has none.",
    "CFG260": "LyCORIS settings are given for a plain LoRA.",
    "CFG261": "A setting belongs to another LyCORIS algorithm than the one that is used.",
    "CFG262": "LoKr keeps both factors whole, so that a setting about its rank has no effect.",
    "CFG263": "A setting that only plain LoRA has is given for a LyCORIS adapter.",
    "CFG264": "The file layout cannot hold this kind of adapter.",
    "CFG265": "DoRA was combined with a start that is no plain one.",
    "CFG266": "The orthogonal start was asked of an odd rank.",
    "CFG267": "LoRA+ was combined with an optimiser that has one step size for all weights.",
    "CFG268": "The learning rate ratio of LoRA+ is unusual.",
    "CFG269": "LoKr's start from noise was asked without whole factors.",
    "CFG270": "DyLoRA's blocks do not divide a rank.",
    "CFG271": "A pattern of module names is no regular expression.",
    "CFG272": "DoRA's row lengths are kept in bf16.",
    "CFG240": "A picture may become longer than the positions that the denoiser of this family "
    "knows, and a step on it would fail.",
    "CFG280": "Full training cannot train quantised weights; an adapter on them can be trained.",
    "CFG281": "The family cannot be trained on a base in this number format.",
    "CFG282": "The family is not known to keep its quality on a base in this number format.",
    "CFG283": "More text encoders are to be quantised than the family has.",
    "CFG284": "A setting of quantisation is set while nothing is quantised.",
    "CFG285": "A setting of quantisation fits no layer of the model, so it would do nothing.",
    "CFG286": "A setting of gradient checkpointing is set while it is off.",
    "CFG287": "Inputs of blocks cannot be moved to host memory, because training runs there.",
    "CFG288": "The family has one text encoder, so there is nothing to load one after the other.",
    "CFG289": "Weights of blocks cannot be swapped in this job: swapping needs a frozen denoiser "
    "and gradient checkpointing of every block.",
    "CFG290": "More blocks are to be swapped than the model has.",
    "CFG291": "A setting of offloading has no effect in this job.",
    "CFG292": "A text encoder cannot be both quantised and offloaded.",
    "CFG293": "The model's attention takes no other kernel, so naming one has no effect.",
    "CFG294": "The model has no repeated blocks that could be compiled.",
    "CFG295": "This way of computing attention cannot train, or does not run on the device.",
    "CFG296": "A setting of compilation has no effect.",
    "CFG297": "Blocks cannot be both compiled and swapped to host memory.",
    "CFG298": "Blocks whose weights are quantised in this form cannot be compiled.",
    "CFG299": "Weights cannot be updated within the backward pass in this job: the optimiser, "
    "gradient accumulation or clipping needs all gradients together.",
    "CFG273": "An adapter file to draw with does not exist.",
    "CFG274": "An adapter to draw with has strength 0, so that it would change nothing.",
    "CFG275": "Two adapters to draw with have one name.",
    "CFG276": "A setting about adapters in validation pictures has no effect.",
    "CFG220": "The part of the noise levels that is to be trained is empty.",
    "CFG221": "The density hardly draws a noise level in the part that is to be trained.",
    "CFG222": "How drawn noise levels are fitted into an interval has no effect: the schedule is "
    "discrete, or all of it is trained.",
    "CFG223": "The model looks at a picture beside each sample, and a dataset has none.",
    "CFG224": "Adapter files are asked for in a layout of a program that does not load the family.",
    "CFG225": "Only the trained noise levels are to be drawn, but the family always draws all.",
    "CFG226": "A setting on experts of a part of the noise levels has no effect.",
    "CFG227": "One other model is to draw two separate parts of the noise levels.",
    "CFG228": "There are so few sampling steps that none lies in the trained noise levels.",
    "CFG229": "A setting about the autoencoder is made for a family that has none.",
    "CFG250": "ComfyUI itself has no model of the family whose adapter is written for it.",
    "CFG251": "A layer is to be taken of a text encoder that has fewer.",
    "CFG210": "The assistant adapter of a distilled checkpoint cannot be used: it is not there, "
    "cannot be read, or does not fit the model.",
    "CFG211": "A setting of `model.assistant` has no effect: in full training, or where there is "
    "no assistant.",
    "CFG212": "A distilled checkpoint is trained without an assistant, which undoes its "
    "distillation.",
    "CFG213": "A picture or a text is larger than the model's tables of positions.",
    "CFG214": "ComfyUI has one layer for several of a family, and the targets are only some of "
    "these.",
    "CFG215": "`cache.latents` has no effect: the autoencoder gives one latent, not a "
    "distribution.",
    "CFG300": "The family has no control nets.",
    "CFG301": "A control net is trained, but samples have no conditioning pictures.",
    "CFG302": "A control net looks at one picture, and samples have several.",
    "CFG303": "A control picture may have another shape than its sample, which cannot be laid over "
    "it.",
    "CFG304": "A setting of control nets has no effect.",
    "CFG305": "The control net to continue from is not one of this model.",
    "CFG306": "A control net was to copy more blocks than the model has.",
    "CFG307": "Validation pictures of plain prompts do not depend on the control net.",
    "CFG308": "A control net cannot be trained with this setting.",
    # --- importers -----------------------------------------------------------------------
    "IMP001": "A file of another trainer cannot be read, or is not well-formed.",
    "IMP002": "The paths that were named hold nothing that can be imported, or two files of one "
    "kind.",
    "IMP003": "A file of another trainer is not quite well-formed: a comma too many, a comment, a "
    "key written twice, a line that is no assignment. It was read all the same.",
    "IMP004": "The source has a key that its own program does not know; it has no effect there.",
    "IMP005": "Settings of the source have no counterpart here. The report says why for each.",
    "IMP006": "Settings of the source contradict each other.",
    "IMP007": "A setting that decides what is trained has no counterpart here, so the job that was "
    "written is not the run that was meant until it is chosen anew.",
    "IMP008": "The dataset file that a run configuration names is not there.",
    "IMP009": "A secret was left out of the job file; it belongs into the environment, or into a "
    "profile.",
    "IMP010": 'A text such as "False" counts as true in the source\'s program.',
    "IMP011": "Only a dataset file was given; a job needs the run configuration as well.",
    "IMP012": "The source takes a value from an environment variable that is not set.",
    # --- data and cache ------------------------------------------------------------------
    "DAT001": "The folder of a dataset does not exist, is not a folder, or cannot be listed.",
    "DAT002": "A dataset has no usable picture. The funnel shows where they were lost: found, "
    "readable, large enough, with caption, used.",
    "DAT003": "Pictures cannot be read (empty, truncated, not a picture, absurdly large). They "
    "are in quarantine: left out, listed with the reason, and tried again once the file changes.",
    "DAT004": "So many pictures cannot be read that something is wrong with the folder as a whole; "
    "the run ends instead of training on the rest.",
    "DAT005": "Pictures are smaller than the dataset's min_size and are left out.",
    "DAT006": "Pictures have no caption file.",
    "DAT007": "Caption files are empty, or are not UTF-8 text.",
    "DAT008": "Pictures are smaller than the training size and are enlarged to fit, which blurs "
    "them. A min_size leaves them out; a lower resolution avoids the enlarging.",
    "DAT009": "Several files hold the same picture. Each is trained on; the cache stores one.",
    "DAT010": "An aspect bucket holds fewer samples than one batch. With carry they are trained "
    "once enough epochs have filled a batch; with drop never.",
    "DAT011": "No batch can be formed: every bucket holds fewer samples than a batch and the "
    "leftover policy is drop.",
    "DAT012": "Samples are left out by the overlay of their dataset.",
    "DAT014": "Pictures are narrower or wider than 4:1; the rest of their long side is cut off.",
    "DAT015": "Masks or conditioning pictures belong to no sample. They are left alone.",
    "DAT016": "Samples have a shape or size that the dataset's settings leave out.",
    "DAT017": "Clips or recordings are shorter than the dataset's settings ask for.",
    "DAT018": "Samples have no partner of their name in a mask or conditioning dataset.",
    "DAT019": "A strict partner has another shape than its sample, so one box cannot cut both.",
    "DAT060": "At some time of the run no dataset takes part: the schedules (active) leave a gap, "
    "or what is left fills no batch and is dropped.",
    "DAT061": "The sides of a slider have different numbers of batches in an epoch. All are "
    "trained on, spread evenly, so now and then two batches of the larger side follow each other.",
    "DAT062": "A run that was begun with one data.mix is continued with the other.",
    "DAT063": "The run is to last a number of epochs that is never reached, because the dataset "
    "whose rounds are the epochs (the first one, with mix stream) stops taking part.",
    "DAT064": "Samples of buckets that fill no batch are cut to the nearest bucket (leftover "
    "merge), or wait because no bucket is near enough.",
    "DAT042": "A picture that validation is to edit cannot be read.",
    "DAT040": "Video and audio are read with PyAV, which the extra `media` installs.",
    "DAT020": "The store of a dataset does not answer: no connection, or no answer in time, also "
    "after several tries with growing pauses. What was scanned is kept.",
    "DAT021": "The store of a dataset refused access, or there are no credentials for it. They "
    "come from the AWS_* environment variables or a profile of ~/.aws, never from a job file.",
    "DAT022": "The bucket of a dataset does not exist, or lies in another region.",
    "DAT024": "The store of a dataset answered in a way that cannot be used: with an error of its "
    "own, or with keys in no order.",
    "DAT025": "A tar shard is compressed, so single samples in it cannot be read.",
    "DAT026": "There is no shard or table at the path of a dataset.",
    "DAT027": "A table cannot be read: it is damaged, or not what its ending says.",
    "DAT028": "A table has no column of this name, or it is not clear which column to read. The "
    "columns that there are are listed.",
    "DAT029": "A table holds addresses of the web. They are fetched once, by `stune data fetch`, "
    "never by a run.",
    "DAT030": "Rows of a table have no name, or share one.",
    "DAT031": "A Hugging Face dataset cannot be loaded: it, its subset, split or revision does not "
    "exist, or the hub cannot be reached.",
    "DAT032": "Addresses of a table could not be fetched; a file lists them with the reasons.",
    "DAT033": "The folder for fetched shards holds those of another table, or is in use.",
    "DAT070": "A picture opens but does not decode to its end: it is truncated or damaged.",
    "DAT071": "A picture is animated, or a file of several pages. Only its first frame is trained "
    "on.",
    "DAT072": "A picture has transparent parts. They are filled with data.background.",
    "DAT073": "A picture is CMYK, or carries a colour profile other than sRGB. It is converted; "
    "programs that ignore profiles show it in other colours.",
    "DAT074": "A picture is stored turned, with an EXIF mark that says so. It is trained on "
    "upright; its mask or control picture must be upright as well.",
    "DAT075": "The ending of a file names another format than its content has.",
    "DAT076": "Pictures are nearly the same: re-encoded, resized or slightly cropped copies. They "
    "are found by a perceptual hash of 64 bits (distance at most 6) and a small colour picture.",
    "DAT077": "A picture is in the training data and in the held-out data, as it is or nearly. "
    "The held-out loss then measures memory.",
    "DAT078": "A picture has no sharp place: even its sharpest parts are soft.",
    "DAT079": "A picture is almost black, almost white, or without contrast.",
    "DAT080": "A picture has bars of one colour along its edges. The model learns to draw them.",
    "DAT081": "A picture shows strong JPEG damage: coarse quantisation, or visible 8 x 8 blocks.",
    "DAT082": "A picture has a shape unlike the rest of its dataset, so it forms a bucket of its "
    "own or loses much to the crop.",
    "DAT083": "Samples of one dataset are seen far more often than those of another.",
    "DAT084": "Captions hold characters that an encoding error left behind.",
    "DAT085": "Many samples of a dataset share one caption.",
    "DAT086": "Captions are longer than the text encoder reads; the rest is cut off.",
    "DAT087": "Some captions of a dataset are lists of tags, others are sentences.",
    "DAT088": "A trigger word is missing in some captions of a dataset, or is written differently.",
    "DAT089": "Captions hold the name of their file.",
    "DAT092": "A mask is empty or full, so it masks nothing.",
    "DAT093": "A clip has fewer frames than the training needs.",
    "DAT094": "A clip has a variable frame rate; frames picked by time are not evenly spaced in "
    "the file.",
    "DAT095": "A recording is needed where there is none, or it is silent.",
    "DAT096": "A clip or recording is far longer or shorter than the rest of its dataset.",
    "DAT097": "An overlay names samples that its dataset does not have.",
    "DAT098": "An overlay file cannot be read.",
    "DAT099": "An overlay replaces captions of a dataset that does not read captions.",
    "DAT034": "The folder for fetched shards cannot be written, or its disk is full. Shards that "
    "are whole are kept.",
    "DAT100": "An object of the cache is missing or damaged. It is dropped from the index, so the "
    "next start encodes it again.",
    "DAT101": "An encoder returned NaN or infinity for a sample; the sample is left out.",
    "DAT102": "The disk has no room for the cache. Everything encoded so far is kept.",
    "DAT103": "The cache folder cannot be used: it is not writable, or a database in it is "
    "damaged.",
    "DAT104": "The cache may not grow as far as needed: cache.max_gb is smaller than what this run "
    "and other runs that can be resumed use. What is in use is never cleared away.",
    "DAT105": "Entries of the cache are damaged: their bytes do not match their checksum, or their "
    "file is gone. Once dropped, they are encoded again by the next start that needs them.",
    "DAT106": "The list of the entries that a run uses is lost. A clean-up keeps all of their "
    "kind.",
    "DAT107": "A file is not an export of a cache, or is damaged; entries before the damage were "
    "taken in.",
    "DAT108": "Entries of the cache were damaged and are not in the export.",
    "DAT109": "The cache knows nothing of a sample: it was never encoded, or before origins were "
    "kept.",
    "DAT110": "There is no cache in the folder yet.",
    "DAT111": "A request to the cache makes no sense: an unknown run or dataset, or a value "
    "that is out of bounds.",
    # --- models and adapters -------------------------------------------------------------
    "ENV001": "A model, or one of its components, cannot be loaded: the folder or file is missing "
    "or not in the expected layout, or the hub repository cannot be reached.",
    "ENV002": "A checkpoint is of another class or kind than the family trains: its configuration "
    "says so. Set `model.family` to what the checkpoint is.",
    "ENV003": "A checkpoint lacks tensors of the model; they are never replaced by random numbers.",
    "ENV010": "Storing weights in fewer bits needs a package that is not installed, or that does "
    "not work here: `pip install 'simpletuner-terminal[quant]'`.",
    "ENV011": "The autoencoder of the model cannot work in slices or in tiles.",
    "ENV012": "A way of computing attention needs a package, or a device, that is not there.",
    "LOR001": "A saved adapter did not verify when it was read back. It was moved aside and is not "
    "to be used; the training state is intact.",
    "LOR002": "No module of the model matches the adapter's targets.",
    "LOR003": "An adapter file cannot be read, or is in a layout that is not known.",
    "LOR004": "An adapter file does not fit the model: tensors are missing, unknown or of other "
    "shapes.",
    "LOR006": "An adapter that was read back gives another output than the one in memory. It was "
    "moved aside and is not to be used; the training state is intact.",
    "LOR005": "The adapter does nothing although it was trained: all its up-projections are zero, "
    "or the model gives the same without it.",
    "LOR010": "A pattern in adapter.overrides or adapter.exclude means no module that is adapted.",
    "LOR011": "No module of the model has a class of the names that the LyCORIS adapter targets.",
    "LOR012": "BOFT needs outputs that divide into a power of two of even blocks; those of a layer "
    "do not.",
    "LOR020": "An adapter file has tensors whose names mean nothing: they would have no effect, or "
    "another one than the author's.",
    "LOR021": "A name in an adapter file has two meanings, or a layer is in the file twice.",
    "LOR022": "The family of an adapter file is not certain; its names fit several, or none.",
    "LOR023": "A layer of an adapter file is incomplete: one half of a pair is missing.",
    "LOR024": "An adapter, or one of its layers, cannot be expressed in the layout that was asked "
    "for. It is refused, because leaving it out would change what the adapter does.",
    "LOR025": "An adapter file holds NaN or infinity.",
    "LOR026": "Layers of an adapter do nothing: their up-projections are zero.",
    "LOR027": "Tensors of a layer in an adapter file do not fit each other in rank or shape.",
    "LOR028": "The alpha of a layer is zero, negative, not finite, or makes an unusually large "
    "scale.",
    "LOR029": "An adapter file names layers that the models of its family do not have.",
    "LOR030": "A layer cannot be merged, resized or compared in its form, or without its base "
    "weights.",
    "LOR031": "A selection means no layer, or would leave none.",
    "LOR032": "A base model, or a pair of checkpoints, does not fit: layers are missing or of "
    "other shapes, or a file cannot be read.",
    "LOR033": "A value given to a verb of the LoRA toolbox is out of bounds.",
    "LOR034": "An output path exists already, or cannot be written.",
    # --- loop and checkpoints ------------------------------------------------------------
    "RUN001": "An internal error ended the run. The traceback is in logs/train.log; everything "
    "up to the newest checkpoint is kept and the run can be started again.",
    "RUN002": "The run directory is locked by another live trainer process.",
    "RUN003": "A checkpoint did not verify (a file is missing, truncated or altered). It was "
    "renamed to a quarantine name and the previous one is used.",
    "RUN004": "No checkpoint of the run verifies, so it cannot be resumed.",
    "RUN005": "The checkpoint was written by a run that differs in a way that changes training "
    "(family, weights, data, seed, batch geometry, precision …).",
    "RUN006": "The disk is full or a file could not be written; the newest complete checkpoint "
    "is intact.",
    "RUN007": "Loss or gradient became NaN or infinite. Nothing non-finite was saved.",
    "RUN008": "The device ran out of memory.",
    "RUN009": "The run was asked to stop; a checkpoint was written and it can be resumed.",
    "RUN010": "A command in the control file is not known to the trainer.",
    "RUN011": "The requested device is not available on this machine.",
    "RUN012": "Validation pictures could not be made; training continues.",
    "RUN013": "An optional package that an option needs is not installed.",
    "RUN030": "The run directory, or the cache, of a job cannot be written.",
    "RUN031": "A rehearsal saved its state, loaded it again, and found something that differs.",
    "RUN032": "An option that promises an effect changed less than 2 % of what is to be expected: "
    "the rehearsal measured with and without it.",
    "RUN033": "The report of a rehearsal could not be kept as a file; its answer stands.",
    "RUN035": "Keys of a job file are set, and nothing reads them on the whole way of a run.",
    "RUN034": "A rehearsal was asked for before queueing a job on another machine. It tries the "
    "machine that it runs on.",
    # --- daemon --------------------------------------------------------------------------
    "RUN101": "The daemon's settings file is not valid.",
    "RUN102": "The run directory of a job is already used by another run.",
    "RUN103": "The job is in a state in which the action makes no sense.",
    "RUN104": "The daemon's store cannot be written; running jobs go on, changes are refused.",
    "RUN105": "Another daemon already runs for this user.",
    "RUN106": "The path is not a file inside the job's run directory.",
    "RUN107": "The trainer ended before it could say why; the last line of its log is quoted.",
    "RUN108": "The daemon's database is damaged, cannot be opened, or was written by a newer "
    "version. Run directories are intact without it.",
    "RUN109": "The run directory of a new job cannot be made.",
    "RUN110": "A request id that stands for one request was used for another one.",
    "RUN111": "The daemon failed inside: a defect of ours. Its log holds the traceback.",
    "RUN112": "The daemon's socket cannot be made: its folder belongs to another user or cannot "
    "be written.",
    # --- client and CLI ------------------------------------------------------------------
    "ENV101": "No daemon listens on the socket of this machine. `stune daemon start` starts one.",
    "ENV102": "The socket of the daemon belongs to another user.",
    "ENV103": "ssh could not reach the host, log in, or keep the connection.",
    "ENV104": "The program stune was not found on the remote host. Non-interactive shells often "
    "have a short PATH; `remote_cli` in hosts.toml names the program by its full path.",
    "ENV105": "The remote host was reached, but no daemon runs there.",
    "ENV106": "A host name is not in hosts.toml and is no address, or the file is not valid.",
    "ENV107": "Client and daemon are of versions that do not understand each other.",
    "ENV108": "The connection to the daemon broke, or an answer did not come in time.",
    "ENV109": "The daemon answered with an internal error or with something unreadable.",
    "ENV110": "The daemon refused the request.",
    "ENV111": "There is no such job, preset or file.",
    "ENV112": "A command line cannot be understood: unknown verb or option, bad value, missing "
    "argument, or a choice that only a terminal can make.",
    "ENV113": "Several jobs match; name one of them.",
    "ENV114": "A condition that was waited for did not come true in time.",
    "ENV115": "The program was interrupted.",
    "ENV116": "The command line failed inside: a defect of ours. `--debug` shows the traceback.",
    "ENV117": "The daemon did not start, or did not answer in time after its start.",
    "ENV118": "A file could not be written or read by the command line.",
    "ENV120": "doctor: the Python that runs the product.",
    "ENV121": "doctor: a package that training needs is not installed; client and daemon work.",
    "ENV122": "doctor: there is no ssh program, so remote hosts cannot be used.",
    "ENV123": "doctor: no GPU driver was found; training runs on the CPU.",
    "ENV124": "doctor: little disk space is left where runs and caches are kept.",
    "ENV125": "doctor: a home folder is missing rights, or its socket is open to others.",
    "ENV126": "doctor: whether the daemon of this machine answers.",
}
