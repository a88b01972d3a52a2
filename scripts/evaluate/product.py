"""The `tripline` binary as users run it, and what it said, kept by what it was asked.

Nothing here detects or measures anything: `fit`, `evaluate` and `redteam` do.
"""

import hashlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Tripline:
    def __init__(self, binary, library, work):
        self.binary, self.work = Path(binary).resolve(), work
        self.env = {**os.environ, "ORT_DYLIB_PATH": str(Path(library).resolve())}
        self.digest = sha256(self.binary)
        self.commands = self.run("--help").stdout

    def run(self, *words):
        words = [str(self.binary), *map(str, words)]
        return subprocess.run(words, env=self.env, capture_output=True, text=True)

    def has(self, command):
        return f"\n  {command} " in self.commands

    def kept(self, name, words, files, make):
        """What `make` gives for these words and files, or gave the last time."""
        asked = [self.digest, *map(str, words), *(sha256(file) for file in files)]
        key = hashlib.sha256("\n".join(asked).encode()).hexdigest()[:16]
        path = self.work / "results" / f"{name}-{key}.json"
        if path.exists():
            return json.loads(path.read_text())
        start = time.monotonic()
        print(f"evaluate: {name} …", flush=True)
        result = make(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(f"evaluate: {name}: {time.monotonic() - start:.0f} s", flush=True)
        return result

    def bundle(self, name, data, *words):
        """Directory of a bundle fitted on `data`, by these words of `fit`."""
        files = [data, *(word for word in words if isinstance(word, Path))]

        def fit(key):
            out = self.work / "bundles" / f"{name}-{key}"
            shutil.rmtree(out, ignore_errors=True)
            # A name may have no dots and capitals, a folder may.
            done = self.run("fit", "--data", data, "--name", "evaluated", "--out", out, *words)
            if done.returncode:
                raise SystemExit(f"evaluate: fit of {name} failed\n{done.stderr[-2000:]}")
            return {"bundle": out.name, "said": done.stdout}

        result = self.kept(f"{name}-fit", words, files, fit)
        out = self.work / "bundles" / result["bundle"]
        if not out.exists():
            raise SystemExit(f"evaluate: {out} was removed: remove {self.work / 'results'} too")
        return out

    def evaluate(self, name, bundle, clean, suspects, *words):
        """The JSON of `tripline evaluate`. `clean` and suspects are FILE[@FROM..TO][#COLUMN]."""
        asked = [w for what, rows in suspects.items() for w in ("--suspect", f"{what}={rows}")]
        asked = ["--clean", clean, *asked, *words]
        files = [str(rows).split("#")[0].split("@")[0] for rows in (clean, *suspects.values())]
        return self.told(name, "evaluate", bundle, asked, files)

    def told(self, name, command, bundle, words, files):
        def ask(_):
            done = self.run(command, "--bundle", bundle, *words, "--json")
            if done.returncode:
                raise SystemExit(f"evaluate: {command} of {name} failed\n{done.stderr[-2000:]}")
            return json.loads(done.stdout)

        return self.kept(f"{name}-{command}", [bundle.name, *words], files, ask)
