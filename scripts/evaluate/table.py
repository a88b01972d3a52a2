"""docs/detection.csv: every measured number, one row per case, seed and score; and its medians."""

import csv
import statistics

COLUMNS = (
    "group", "guards", "case", "suspect", "seed", "score", "n", "auroc", "ap", "tpr_at_1pct", "tpr_at_01pct",
    "budget", "flagged_share", "flagged", "expected_low", "expected_high", "refused",
    "accuracy_before", "accuracy_if_all_corrected", "accuracy_delivered",
)  # fmt: skip
WORDS = ("group", "guards", "case", "suspect", "score")
WHOLE = ("seed", "n", "flagged", "expected_low", "expected_high", "refused")


def plain(value):
    return f"{value:.5f}".rstrip("0").rstrip(".") if isinstance(value, float) else "" if value is None else str(value)


class Table:
    def __init__(self, rows):
        self.rows = rows

    @classmethod
    def read(cls, path):
        def parsed(key, text):
            if key in WORDS:
                return text
            return None if text == "" else int(text) if key in WHOLE else float(text)

        if not path.exists():
            return cls([])
        with open(path, newline="") as file:
            return cls([{key: parsed(key, text) for key, text in row.items()} for row in csv.DictReader(file)])

    def replaced(self, rows):
        """With these rows instead of all of the same groups."""
        new = {row["group"] for row in rows}
        return Table([row for row in self.rows if row["group"] not in new] + rows)

    def write(self, path):
        with open(path, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([plain(row.get(key)) for key in COLUMNS] for row in self.rows)

    def each(self, key, **where):
        """The values of `key` in the rows that say `where`, in order of their seeds."""
        rows = [row for row in self.rows if all(row.get(k) == v for k, v in where.items())]
        rows = [row for row in rows if row.get(key) is not None]
        return [row[key] for row in sorted(rows, key=lambda row: row["seed"])]

    def median(self, key, **where):
        values = self.each(key, **where)
        return statistics.median(values) if values else None

    def seeds(self, **where):
        return sorted({row["seed"] for row in self.rows if all(row.get(k) == v for k, v in where.items())})

    def values(self, key, **where):
        """Different values of `key`, in order of appearance."""
        rows = (row for row in self.rows if all(row.get(k) == v for k, v in where.items()))
        return list(dict.fromkeys(row.get(key) for row in rows))

    def means(self, key, **where):
        """Per seed the mean over cases, in order of the seeds; of what has no value, none."""
        by_seed = [self.each(key, seed=seed, **where) for seed in self.seeds(**where)]
        return [statistics.fmean(values) for values in by_seed if values]
