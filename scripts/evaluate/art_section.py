"""The part of docs/detection.md about attacks that we did not write, from docs/detection-art.json.

That file holds, for each protected classifier, what `art_attacks.py make` told of the attacks and what
`tripline evaluate` said of the rows that fooled the classifier. Which attacks pass is said by comparison.
"""

import json

# An attack of which a larger share passes is named.
NAMED_ABOVE = 0.1

TEXT = """## Attacks that we did not write

The [Adversarial Robustness Toolbox](https://github.com/Trusted-AI/adversarial-robustness-toolbox) (ART 1.20.1) made these; no fit knows its code. Each attack
gets the same 200 test rows that the classifier has right. Its result is rounded to steps of 1/255, which is what a record can carry, and counts if
the classifier is then wrong. Strengths and budgets were chosen before any detector saw an attacked row, and no attack is left out: what has no
figures yet says "not run". Numbers are in `detection-art.json`."""

SETS = {
    "fashion": (
        "Fashion-MNIST",
        "The committed bundle `models/fashion-mnist`, which guards a classifier with a backdoor. Attacked are the first test rows; clean are test rows 5000 to 9999.",
    ),
    "gtsrb": (
        "GTSRB",
        "A bundle fitted as above, in the part on colour photographs. Attacked are the first rows of `clean.npz`; clean are its rows 500 to 3999.",
    ),
}

MEANING = """L∞ and L2 are means over the rows that fooled the classifier. AUROC and the share caught where 1 % of clean rows are flagged, the share flagged at the
bundle's own budget, and how often the classifier is right if every row is corrected: all of the same rows."""

HOW = """`make evaluate` does not run this part. It takes a Python environment with `scripts/evaluate/requirements-art.txt`, `art_attacks.py make SET DATA OUT` and `art_attacks.py
measure SET DATA OUT --bundle DIR`. "Asked" is how often ART asked the classifier for labels, losses or gradients, for each row; ART's Square asks three
times in each of its steps. ONNX Runtime gives labels and gradients."""

# Of ART's parameters those that do not say how much is computed at a time.
SILENT = ("batch_size",)


def number(value, digits=3):
    if value is None:
        return "–"
    # Three nines deserve a fourth digit.
    text = f"{value:.{4 if digits == 3 and 0.999 < value < 1 else digits}f}"
    return text[1:] if text.startswith("0.") else text


def percent(share, digits=0):
    return f"{100 * share:.{digits}f} %"


def table(header, rows):
    head = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    return "\n".join(head + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def row(attack, suspect):
    fooled = [attack["title"], f"{attack['fooled']} of {attack['made']}" if attack["made"] else "not run"]
    if suspect is None:
        return [*fooled, *["–"] * 5]
    merged = suspect["merged"]
    return [
        *fooled, f"{attack['linf_mean']:.1f}/255", f"{attack['l2_mean']:.2f}", f"{number(merged['auroc'])} / {number(merged['tpr_at_1pct'], 2)}",
        f"{suspect['flagged']} of {suspect['n']}", number(suspect["accuracy_if_all_corrected"]),
    ]  # fmt: skip


def passing(attacks, suspects):
    """Which attacks get through, worst first, and the most that any other gets through."""
    missed = sorted(((1 - s["flagged"] / s["n"], attacks[name]["title"]) for name, s in suspects.items()), reverse=True)
    named = [f"{title} ({percent(share)})" for share, title in missed if share > NAMED_ABOVE]
    others = [share for share, _ in missed if share <= NAMED_ABOVE]
    said = f"Of these attacks more than {percent(NAMED_ABOVE)} of the rows pass unflagged: {', '.join(named)}." if named else ""
    if others:
        said += f" Of {'every other' if named else 'every'} attack that was run at most {percent(max(others), 1)} pass."
    left = sum(not attack.get("made", 1) for attack in attacks.values())
    return (said + (f" {left} of {len(attacks)} attacks were not run: nothing is known of them." if left else "")).strip()


def costs(attacks):
    rows = []
    for attack in attacks.values():
        told = ", ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in attack["parameters"].items() if key not in SILENT)
        cost = [f"{attack['asked_per_row']:,.0f}", f"{attack['cpu_seconds']:.0f}"] if attack["made"] else ["–", "–"]
        rows.append([attack["title"], f"`{attack['kind']}`", told, *cost])
    return table(["attack", "in ART", "parameters", "asked", "CPU seconds"], rows)


def one(name, told):
    attacks, report = told["attacks"], told["report"]
    title, text = SETS[name]
    clean, suspects = report["clean"], report["suspects"]
    low, high = clean["flagged_expected"]
    text += f" Of {clean['n']:,} clean rows {clean['flagged']} are flagged at {percent(report['budget'])} ({low} to {high} by chance)."
    rows = [row(attack, suspects.get(key)) for key, attack in attacks.items()]
    header = ["attack", "fool the classifier", "L∞", "L2", "AUROC / TPR at 1 %", "flagged", "right if corrected"]
    return "\n\n".join([f"**{title}.** {text}", table(header, rows), f"**{passing(attacks, suspects)}**", costs(attacks)])


def section(docs):
    """The part, or nothing if nothing was measured."""
    path = docs / "detection-art.json"
    if not path.exists():
        return ""
    told = json.loads(path.read_text())
    return "\n\n".join([TEXT, MEANING, *(one(name, told[name]) for name in SETS if name in told), HOW])
