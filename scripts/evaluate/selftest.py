"""Proves that the page of `make evaluate` says what was measured, and says so when it falls short.

Needs no data and takes a second: .tools/venv/bin/python scripts/evaluate/selftest.py
"""

import tempfile
import unittest
from pathlib import Path

import art_section
import report
from cases import CLASSIFIER, FASHION
from table import Table

ROOT = Path(__file__).resolve().parents[2]


def row(case, auroc, tpr, corrected, seed=0, score="merged"):
    return {
        "group": "fashion", "guards": CLASSIFIER, "case": case, "seed": seed, "score": score, "n": 500,
        "auroc": auroc, "tpr_at_1pct": tpr, "accuracy_if_all_corrected": corrected,
    }  # fmt: skip


class Said(unittest.TestCase):
    def line(self, rows, title):
        page = report.Page(Table(rows), {}, report.published(), ROOT).text()
        return next(line for line in page.splitlines() if line.startswith(f"| {title} |"))

    def test_a_row_below_its_floor_is_called_so(self):
        sound = next(case for case in FASHION if case.name == "pgd-0.10-on-support")
        goal = (sound.auroc, sound.tpr, sound.corrected)
        self.assertTrue(self.line([row(sound.name, *goal)], sound.title).endswith("| goal |"))
        for at, slack in enumerate((0.011, 0.051, 0.011)):
            short = [value - slack * (i == at) for i, value in enumerate(goal)]
            self.assertIn("**below the floor**", self.line([row(sound.name, *short)], sound.title))
            kept = [value - 0.9 * slack * (i == at) for i, value in enumerate(goal)]
            self.assertIn("floor kept", self.line([row(sound.name, *kept)], sound.title))

    def test_what_was_not_run_is_called_so(self):
        self.assertIn("not run", self.line([], "CW-L2"))

    def test_the_median_of_the_seeds_decides(self):
        case = next(case for case in FASHION if case.name == "cw-l2")
        seeds = [row(case.name, auroc, 0.9, 0.96, seed) for seed, auroc in enumerate((0.5, 0.99, 0.991))]
        self.assertTrue(self.line(seeds, case.title).startswith(f"| {case.title} | .990 / .900 |"))

    def test_a_part_that_is_run_again_leaves_the_rest_as_it_is(self):
        old = Table([row("cw-l2", 0.9, 0.5, 0.9), {**row("vowels", 0.9, 0.5, None), "group": "adbench-clean"}])
        new = old.replaced([row("cw-l2", 0.8, 0.4, 0.9)])
        self.assertEqual(new.each("auroc", group="fashion"), [0.8])
        self.assertEqual(new.each("auroc", group="adbench-clean"), [0.9])

    def test_a_table_that_is_written_reads_back_the_same(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            Table([row("cw-l2", 0.9, 0.5, None)]).write(path)
            again = Table.read(path)
            self.assertEqual(again.each("auroc"), [0.9])
            self.assertEqual(again.each("accuracy_if_all_corrected"), [])

    def test_an_attack_that_passes_is_named_and_one_that_is_caught_is_not(self):
        attacks = {name: {"title": name} for name in ("caught", "turned", "seen")}
        suspects = {name: {"n": 200, "flagged": flagged} for name, flagged in (("caught", 195), ("turned", 60), ("seen", 200))}
        said = art_section.passing(attacks, suspects)
        self.assertEqual(said, "Of these attacks more than 10 % of the rows pass unflagged: turned (70 %). Of every other attack that was run at most 2.5 % pass.")
        del suspects["turned"]
        self.assertEqual(art_section.passing(attacks, suspects), "Of every attack that was run at most 2.5 % pass.")
        attacks["slow"] = {"title": "slow", "made": 0}
        self.assertTrue(art_section.passing(attacks, suspects).endswith(" 1 of 4 attacks were not run: nothing is known of them."))

    def test_an_attack_that_fools_nothing_keeps_its_line(self):
        attack = {"title": "weak", "fooled": 0, "made": 200, "linf_mean": None, "l2_mean": None}
        self.assertEqual(art_section.row(attack, None)[:3], ["weak", "0 of 200", "–"])
        self.assertEqual(art_section.row({"title": "slow", "made": 0, "fooled": 0}, None)[:3], ["slow", "not run", "–"])

    def test_the_page_in_docs_is_what_the_numbers_beside_it_make(self):
        # It also quotes the detectors' own words, so it changes with them.
        same = (ROOT / "docs/detection.md").read_text() == report.page(ROOT / "docs", ROOT)
        self.assertTrue(same, "run: .tools/venv/bin/python scripts/evaluate/report.py")


if __name__ == "__main__":
    unittest.main()
