"""docs/detection.md: what was measured, beside what was asked and what others reach.

Which rows fall short is said by comparison, here; nobody writes a verdict by hand. As a program it
writes the page anew from docs/detection.csv, without measuring anything.
"""

import csv
import json
import re
import statistics
from pathlib import Path

import art_section
import cases
import colour
from cases import ADBENCH, BADNETS, BLENDED, CLASSIFIER, FASHION, ON_SUPPORT, SETS
from table import Table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NOT_RUN = "not run"


def write(rows, docs, root, adaptive=None):
    """Puts `rows` in the place of all of their groups, and writes the page anew."""
    path = docs / "detection.csv"
    Table.read(path).replaced(rows).write(path)
    if adaptive:
        (docs / "detection-adaptive.json").write_text(json.dumps(adaptive, indent=1) + "\n")
    (docs / "detection.md").write_text(page(docs, root))
    print(f"evaluate: wrote {docs / 'detection.md'} and {path.name}", flush=True)


def page(docs, root):
    """The page that the files beside it make: after a run of a part the same as after one of all."""
    adaptive = docs / "detection-adaptive.json"
    adaptive = json.loads(adaptive.read_text()) if adaptive.exists() else {}
    return Page(Table.read(docs / "detection.csv"), adaptive, published(), root, colour.section(docs), art_section.section(docs)).text()


def published():
    with open(HERE / "published.csv", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def number(value, digits=3):
    if value is None:
        return "–"
    # Three nines deserve a fourth digit.
    text = f"{value:.{4 if digits == 3 and 0.999 < value < 1 else digits}f}"
    return text[1:] if text.startswith("0.") else text


def percent(value, digits=1):
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def both(auroc, tpr):
    return NOT_RUN if auroc is None else f"{number(auroc)} / {number(tpr)}"


def verdict(pairs):
    """Of (measured, floor, goal), larger is better: the worst of them decides."""
    pairs = [(got, floor, goal) for got, floor, goal in pairs if goal is not None]
    if not pairs or all(got is None for got, *_ in pairs):
        return NOT_RUN
    if any(got is None or got < floor - 5e-5 for got, floor, _ in pairs):
        return "**below the floor**"
    return "goal" if all(got >= goal - 5e-5 for got, _, goal in pairs) else "floor kept"


class Page:
    def __init__(self, table, adaptive, published, root, colour="", art=""):
        self.table, self.adaptive, self.published, self.root = table, adaptive, published, root
        self.colour, self.art = colour, art

    def text(self):
        parts = [HEAD, self.colour, self.seeds(), self.on_support(), self.redteam(), BACKGROUND, self.clean(), self.asked(), self.images(),
                 self.harmless(), self.art, self.adbench(), self.nsl_kdd(), self.blind(), HOW]  # fmt: skip
        return "\n\n".join(part.strip() for part in parts if part) + "\n"

    def seeds(self):
        """How many seeds the medians are of."""
        images = [(f"the guard of {guards}", {"group": "fashion", "guards": guards}) for guards in (CLASSIFIER, BADNETS, BLENDED)]
        groups = [*images, *((f"ADBench, {case.name}", {"group": f"adbench-{case.name}"}) for case in ADBENCH),
                  ("NSL-KDD", {"group": "nsl-kdd"})]  # fmt: skip
        counts = [f"{name} {len(self.table.seeds(**where)) or NOT_RUN}" for name, where in groups]
        return f"Seeds: {'; '.join(counts)}."

    def lines(self, header, rows):
        head = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
        return "\n".join(head + ["| " + " | ".join(map(str, row)) + " |" for row in rows])

    # ---- images --------------------------------------------------------------------------------

    def case(self, case, key, score="merged"):
        return self.table.median(key, group="fashion", case=case.name, score=score)

    def best_peer(self, case):
        rows = [row for row in self.published if row["case"] == case.name]
        if not rows:
            return "–"
        best = max(rows, key=lambda row: float(row["tpr_at_1pct"]))
        auroc, tpr = float(best["auroc"]), float(best["tpr_at_1pct"])
        return f"{both(auroc, tpr)} ({best['detector'].split(':')[0]})"

    def per_seed(self, **where):
        pairs = zip(self.table.each("auroc", **where), self.table.each("tpr_at_1pct", **where))
        return "; ".join(both(*pair) for pair in pairs) or "–"

    def row(self, case):
        auroc, tpr = self.case(case, "auroc"), self.case(case, "tpr_at_1pct")
        corrected = self.case(case, "accuracy_if_all_corrected")
        floors = case.floors()
        said = verdict(zip((auroc, tpr, corrected), floors, (case.auroc, case.tpr, case.corrected)))
        return [
            case.title, both(auroc, tpr), number(corrected), both(case.auroc, case.tpr), number(case.corrected),
            both(*floors[:2]), self.best_peer(case), said,
        ]  # fmt: skip

    def on_support(self):
        header = ["attack", "AUROC / TPR at 1 %", "accuracy if all corrected", "known before", "", "floor",
                  "best published detector", ""]  # fmt: skip
        return ON_SUPPORT_TEXT + "\n\n" + self.lines(header, [self.row(case) for case in ON_SUPPORT])

    def redteam(self):
        if not self.adaptive:
            return REDTEAM_TEXT + "\n\nNot run."
        header = ["attack", "where", "L∞", "fools the model", "fools the model and passes"]
        tables = []
        for seed, told in self.adaptive.items():
            rows = [
                [row["attack"], "object only" if row["on_support"] else "anywhere",
                 number(row["strength"], 2), percent(row["fooled"], 0), percent(row["passed"], 0)]
                for row in told["attacks"]
            ]  # fmt: skip
            tables.append(f"The guard of {CLASSIFIER}, seed {seed}, {told['rows']} images:\n\n" + self.lines(header, rows))
        return "\n\n".join([REDTEAM_TEXT, *tables])

    def clean(self):
        rows = []
        for guards in (CLASSIFIER, BADNETS, BLENDED):
            for case, budget in (("clean", "1 %"), ("clean at 0.1 %", ".1 %")):
                where = {"group": "fashion", "guards": guards, "case": case, "score": "clean"}
                each = zip(*(self.table.each(key, **where) for key in ("flagged", "expected_low", "expected_high")))
                counts = [f"{got} ({low} to {high}){'' if low <= got <= high else ' **outside**'}" for got, low, high in each]
                before, corrected, delivered = (
                    self.table.median(key, **where)
                    for key in ("accuracy_before", "accuracy_if_all_corrected", "accuracy_delivered")
                )
                loss = [before - after if None not in (before, after) else None for after in (corrected, delivered)]
                said = NOT_RUN
                if loss[0] is not None:
                    kept = loss[0] <= cases.CLEAN_LOSS_GOAL and (loss[1] or 0) <= cases.DELIVERED_LOSS_GOAL
                    said = "goal" if kept else "floor kept" if loss[0] <= cases.CLEAN_LOSS_FLOOR else "**below the floor**"
                rows.append([guards, budget, "; ".join(counts) or NOT_RUN, number(before), number(loss[0], 4), number(loss[1], 4), said])
        header = ["guards", "budget", "flagged, each seed (99 of 100 fits)", "accuracy", "lost if all corrected", "lost as delivered", ""]
        return CLEAN_TEXT + "\n\n" + self.lines(header, rows)

    def images(self):
        rows = []
        for case in FASHION:
            if case.flagged_max is not None:
                continue
            kinds = [k for k in self.table.values("score", group="fashion", case=case.name) if k not in ("merged", "clean")]
            alone = sorted(kinds, key=lambda kind: -(self.case(case, "tpr_at_1pct", kind) or 0))[:2]
            alone = [f"{kind} {both(self.case(case, 'auroc', kind), self.case(case, 'tpr_at_1pct', kind))}" for kind in alone]
            where = {"group": "fashion", "case": case.name, "score": "merged"}
            rows.append([
                case.title, self.table.median("n", **where) or "–", self.per_seed(**where),
                number(self.case(case, "tpr_at_01pct")), percent(self.case(case, "flagged_share")),
                number(self.case(case, "accuracy_before")), number(self.case(case, "accuracy_delivered")), "; ".join(alone) or "–",
            ])  # fmt: skip
        header = ["case", "n", "each seed", "TPR at .1 %", "flagged at 1 %", "accuracy before", "as delivered", "best detectors alone"]
        text = IMAGES_TEXT + "\n\n" + self.lines(header, rows)
        peers = list(dict.fromkeys(row["detector"] for row in self.published if row["group"] == "fashion"))
        shown = []
        for case in FASHION:
            own = {r["detector"]: r for r in self.published if r["case"] == case.name and r["group"] == "fashion"}
            if own:
                shown.append([case.title, both(self.case(case, "auroc"), self.case(case, "tpr_at_1pct"))]
                             + [both(float(own[p]["auroc"]), float(own[p]["tpr_at_1pct"])) for p in peers])  # fmt: skip
        return text + "\n\n" + PEERS_TEXT + "\n\n" + self.lines(["case", "Tripline", *peers], shown)

    def harmless(self):
        rows = []
        for case in (case for case in FASHION if case.flagged_max is not None):
            flagged = self.case(case, "flagged_share")
            before, corrected = self.case(case, "accuracy_before"), self.case(case, "accuracy_if_all_corrected")
            loss = None if None in (before, corrected) else before - corrected
            kept = flagged is not None and flagged <= case.flagged_max and (loss or 0) <= cases.HARMLESS_LOSS_GOAL
            said = NOT_RUN if flagged is None else "goal" if kept else "**short of the goal**"
            rows.append([case.title, percent(flagged), f"≤ {percent(case.flagged_max, 0)}", number(loss, 4), "≤ .02", said])
        header = ["disturbance", "flagged at 1 %", "goal", "accuracy lost if all corrected", "goal", ""]
        return HARMLESS_TEXT + "\n\n" + self.lines(header, rows)

    # ---- tables --------------------------------------------------------------------------------

    def asked(self):
        rows = [self.row(case) for case in FASHION if case.auroc is not None]
        for case in ADBENCH:
            got = self.means12(case)
            floors = case.floors()
            said = verdict(zip(got, floors, (case.auroc, case.tpr)))
            peer = max((r for r in self.published if r["group"] == f"adbench-{case.name}"), key=lambda r: float(r["auroc"]))
            peer = f"{both(float(peer['auroc']), float(peer['tpr_at_1pct']))} ({peer['detector']})"
            rows.append([f"ADBench, {case.title}", both(*got), "–", both(case.auroc, case.tpr), "–", both(*floors[:2]), peer, said])
        header = ["case", "AUROC / TPR at 1 %", "accuracy if all corrected", "known before", "", "floor", "best published detector", ""]
        return ASKED_TEXT + "\n\n" + self.lines(header, rows)

    def means12(self, case):
        where = {"group": f"adbench-{case.name}", "score": "merged"}
        means = [self.table.means(key, **where) for key in ("auroc", "tpr_at_1pct")]
        return [statistics.median(mean) if mean else None for mean in means]

    def adbench(self):
        parts = [ADBENCH_TEXT]
        for case in ADBENCH:
            group = f"adbench-{case.name}"
            rows = []
            for name in SETS:
                where = {"group": group, "case": name, "score": "merged"}
                kinds = [k for k in self.table.values("score", group=group, case=name) if k not in ("merged", "clean")]
                best = max(kinds, key=lambda kind: self.table.median("auroc", **{**where, "score": kind}) or 0, default=None)
                alone = "–" if best is None else f"{best} {number(self.table.median('auroc', **{**where, 'score': best}))}"
                clean = {"group": group, "case": name, "score": "clean"}
                rows.append([
                    name, self.table.median("n", **clean) or "–", self.table.median("n", **where) or "–", self.per_seed(**where),
                    number(self.table.median("ap", **where)), percent(self.table.median("budget", **where), 0),
                    percent(self.table.median("flagged_share", **clean)), percent(self.table.median("flagged_share", **where)), alone,
                ])  # fmt: skip
            pairs = zip(*(self.table.means(key, group=group, score="merged") for key in ("auroc", "tpr_at_1pct")))
            each = "; ".join(both(*pair) for pair in pairs)
            rows.append(["**mean**", "", "", f"**{each or NOT_RUN}**", "", "", "", "", ""])
            header = ["set", "clean", "anomalies", "each seed: AUROC / TPR at 1 %", "AP", "budget", "clean flagged", "caught", "best detector alone"]
            peers = [r for r in self.published if r["group"] == group]
            beside = "; ".join(f"{r['detector']} {both(float(r['auroc']), float(r['tpr_at_1pct']))}" for r in peers)
            parts.append(f"**{case.title[0].upper()}{case.title[1:]}.**\n\n{self.lines(header, rows)}\n\nOur re-runs beside it: {beside}.")
        return "\n\n".join(parts)

    def nsl_kdd(self):
        scores = [k for k in self.table.values("score", group="nsl-kdd") if k != "clean"]
        named = ["merged", *(k for k in scores if k.startswith("PyOD"))]
        alone = [k for k in scores if k not in named]
        kinds = [k for k in self.table.values("case", group="nsl-kdd") if k != "clean"]
        rows = []
        for kind in kinds:
            where = {"group": "nsl-kdd", "case": kind}
            cell = [both(self.table.median("auroc", **where, score=s), self.table.median("tpr_at_1pct", **where, score=s)) for s in named]
            caught = percent(self.table.median("flagged_share", **where, score="merged"))
            rows.append([kind, self.table.median("n", **where, score="merged"), *cell, caught])
        header = ["attack class", "n", "Tripline", *named[1:], "flagged at 1 %"]
        text = NSL_TEXT + "\n\n" + (self.lines(header, rows) if rows else "Not run.")
        clean = {"group": "nsl-kdd", "case": "clean", "score": "clean"}
        each = zip(*(self.table.each(key, **clean) for key in ("flagged", "n", "refused", "expected_low", "expected_high")))
        counts = [f"{got} of {n - refused} ({low} to {high} by chance), {refused} more refused" for got, n, refused, low, high in each]
        if counts:
            text += f"\n\nClean rows flagged, each seed: {'; '.join(counts)}. "
            text += f"All attacks, each seed: {self.per_seed(group='nsl-kdd', case='all attacks', score='merged')}. Each detector alone: "
            text += "; ".join(f"{k} {number(self.table.median('auroc', group='nsl-kdd', case='all attacks', score=k))}" for k in alone) + "."
        return text

    def blind(self):
        rows = []
        for path in sorted((self.root / "src/detect").glob("*.rs")):
            source = path.read_text()
            if "\npub(super) const KIND" not in source:
                continue
            doc = " ".join(line[3:].strip() for line in source.splitlines() if line.startswith("//!"))
            sentences = re.split(r"(?<=[.;]) +(?=[A-Z])", doc.replace("[`", "`").replace("`]", "`"))
            blind = next((s for s in sentences if re.search(r"\b(Blind|blind)\b", s)), "–")
            rows.append([path.stem.replace("_", "-"), sentences[0], blind])
        return BLIND_TEXT + "\n\n" + self.lines(["detector", "what", "cannot see"], rows)


HEAD = """# Detection, measured

Made by `make evaluate DATA=DIR`, which runs `tripline fit`, `evaluate` and `redteam` on official data sets; every number is in
[detection.csv](detection.csv), `detection-adaptive.json` or, of colour photographs, `detection-colour.json`. Do not edit this page: run the command again. Cells are medians over seeds of the one
merged score: AUROC / the share caught where 1 % of clean rows are flagged. "Known before" is the best recipe known to us, a prototype of ours.
The floor lies .01 AUROC, .05 of the share and .01 accuracy below it."""

ON_SUPPORT_TEXT = """## The rows to look at first

PGD that changes the object only, against the protected classifier, on Fashion-MNIST. An attack on ordinary images looks like this."""

REDTEAM_TEXT = """## An attacker who has the bundle

`tripline redteam --rows 50 --restarts 1` attacks the protected model and the merged score together. The table shows the share that fools both. Tripline
does not withstand these attacks, and we do not claim that it does."""

BACKGROUND = """## The black background

Fashion-MNIST's background is exactly black, so an attack that changes the background is easy to see. The rows for FGSM and PGD below are therefore
too good. The rows above are not."""

CLEAN_TEXT = """## Clean rows

Test rows 5000 to 9999, which no fit saw. In brackets: how many a correct guard flags in 99 of 100 fits."""

ASKED_TEXT = """## What was asked, and what was reached"""

IMAGES_TEXT = """## Images

The bundle is fitted on the 60,000 training images of Fashion-MNIST. The attacks are those that fool the classifier that the bundle protects."""

PEERS_TEXT = """Published detectors on the same files, **our re-runs** of them (one seed), not their authors' numbers:"""

HARMLESS_TEXT = """## Harmless disturbances

A guard that flags every noisy image is of no use, and the correction of a noisy image should cost nothing."""

ADBENCH_TEXT = """## ADBench

Twelve sets, split as in the literature. *Trained on normal rows*: half of the normal rows train; the rest and all anomalies are tested. Of more than
50,000 rows 50,000 are drawn. *Contaminated*: 70 of 100 rows train, anomalies among them. Of more than 10,000 rows 10,000 are drawn, and `fit` gets
`--contaminated 25%`, whatever the truth. Of the training rows, `fit` keeps three in ten for calibration and its own tests; peers learn from all. The
budget is the smallest whole percentage that so few rows support. "Clean flagged" and "caught" are measured at that budget."""

NSL_TEXT = """## NSL-KDD

Fitted on the normal rows of KDDTrain+_20Percent, measured on KDDTest+. The normal rows of KDDTest+ have drifted from those of the training file, so no
share of flagged rows is promised there. PyOD's detectors learned from the same rows in the same run, with one-hot categories and standardised
columns. "New" are the kinds of attack that no training file has. Nothing was chosen on this file."""

BLIND_TEXT = """## What each detector cannot see

From the first lines of their files in `src/detect`."""

HOW = """## How to run it again

`make evaluate DATA=DIR` with the data sets' official files: `adbench/*.npz`, `nsl-kdd/` (both official files, gzipped), `fashion-mnist/`
(IDX), `fashion-attacks/`. `ONLY=tables`, `ONLY=nsl-kdd` or `ONLY=fashion` measures a part and leaves the rest of this page as it is;
`SEEDS=1` is
quicker, `BACKDOORED=1` measures the guards of the two backdoored classifiers with one seed. Results of the same binary are kept in `.tools/evaluate` and
not measured again."""


if __name__ == "__main__":
    write([], ROOT / "docs", ROOT)
