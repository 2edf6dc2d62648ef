# SPDX-License-Identifier: Apache-2.0
"""warphive cache."""

import json

from harness import CommandTest

ENTRY = "0123456789abcdef" * 4 + ".code"


class Cache(CommandTest):
    def test_stats(self):
        self.folder.joinpath("kept").mkdir(mode=0o700)
        self.file("kept/" + ENTRY, "x" * 1234)
        self.file("kept/notes.txt", "not of the cache")
        out = self.command("cache", "stats", "--cache-dir", "kept", status=0).out
        self.assertEqual(out, "directory: kept\nentries: 1\nbytes: 1,234 of 1,073,741,824\n")
        out = self.command("cache", "stats", "--cache-dir", "kept", "--format", "json", status=0).out
        self.assertEqual(
            json.loads(out), {"schema": 1, "directory": "kept", "entries": 1, "bytes": 1234, "limit_bytes": 1 << 30}
        )

    def test_clear(self):
        self.folder.joinpath("kept").mkdir(mode=0o700)
        self.file("kept/" + ENTRY, "x")
        self.file("kept/notes.txt", "not of the cache")
        self.assertEqual(self.command("cache", "clear", "--cache-dir", "kept", status=0).out, "")
        self.assertEqual([path.name for path in self.folder.joinpath("kept").iterdir()], ["notes.txt"])

    def test_default_directory(self):
        environment = {"XDG_CACHE_HOME": str(self.folder / "xdg"), "HOME": str(self.folder / "home")}
        stats = ["cache", "stats", "--format", "json"]
        out = json.loads(self.command(*stats, status=0, environment=environment).out)
        self.assertEqual((out["directory"], out["entries"]), (str(self.folder / "xdg/warphive"), 0))
        environment["XDG_CACHE_HOME"] = ""
        out = json.loads(self.command(*stats, status=0, environment=environment).out)
        self.assertEqual(out["directory"], str(self.folder / "home/.cache/warphive"))
        self.command("cache", "clear", status=0, environment=environment)
        self.assertEqual(list(self.folder.iterdir()), [])
        environment["HOME"] = ""
        self.assertIn("XDG_CACHE_HOME", self.failure(123, *stats, environment=environment))

    def test_refusals(self):
        self.folder.joinpath("open").mkdir()
        self.folder.joinpath("open").chmod(0o777)
        self.file("file", "x")
        for action in ("stats", "clear"):
            self.assertIn("can be written by others (mode 0777)", self.failure(123, "cache", action, "--cache-dir", "open"))
            self.assertIn("Not a directory", self.failure(123, "cache", action, "--cache-dir", "file"))

    def test_usage(self):
        for arguments, sentence in [
            ([], "No action was given; see warphive cache --help."),
            (["show"], "There is no action (show); see warphive cache --help."),
            (["stats", "--cache-dri=x"], "There is no option (--cache-dri=x), the nearest is --cache-dir; see warphive cache stats --help."),
            (["stats", "--format", "xml"], "The value of --format (xml) is not one of text|json."),
            (["clear", "--format", "json"], "There is no option (--format); see warphive cache clear --help."),
            (["stats", "x"], "The argument (x) is one too many; see warphive cache stats --help."),
        ]:
            self.assertEqual(self.failure(125, "cache", *arguments), sentence)
        self.assertIn("--cache-dir DIR", self.command("cache", "stats", "--help", status=0).out)
