"""Reads systemd unit files: the part of systemd.unit(5) and systemd.service(5) that the units of a
baked node use."""

import os
import re
import shlex

FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


class Unit:
    """One unit as its file and drop-ins say; settings are lists, the last assignment last."""

    def __init__(self, name):
        self.name = name
        self.settings = {}
        stem, _, kind = name.rpartition(".")
        prefix, at, self.instance = stem.partition("@")
        names = [name] + ([f"{prefix}@.{kind}"] if at else [])
        self.path = next((f"{folder}/{n}" for n in names for folder in FOLDERS
                          if os.path.isfile(f"{folder}/{n}")), None)
        if self.path:
            self._read(self.path)
            for path in self._drop_ins(names):
                self._read(path)

    def _drop_ins(self, names):
        found = {}
        for folder in reversed(FOLDERS):
            for name in names:
                home = f"{folder}/{name}.d"
                if os.path.isdir(home):
                    found.update({f: f"{home}/{f}" for f in os.listdir(home) if f.endswith(".conf")})
        return [found[name] for name in sorted(found)]

    def _read(self, path):
        section = ""
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"\\\n\s*", " ", file.read())
        for line in text.splitlines():
            line = line.strip()
            if line.startswith("["):
                section = line.strip("[]")
            elif line and line[0] not in "#;" and "=" in line:
                key, value = (part.strip() for part in line.split("=", 1))
                values = self.settings.setdefault((section, key), [])
                if value:
                    values.append(self._specifiers(value))
                else:
                    values.clear()

    def _specifiers(self, value):
        stem = self.name.rpartition(".")[0]
        known = {"%n": self.name, "%N": stem, "%p": stem.partition("@")[0], "%i": self.instance,
                 "%I": self.instance.replace("-", "/"), "%H": os.uname().nodename, "%%": "%"}
        return re.sub(r"%.", lambda m: known.get(m[0], m[0]), value)

    def all(self, key, section="Service"):
        return self.settings.get((section, key), [])

    def get(self, key, default="", section="Service"):
        values = self.all(key, section)
        return values[-1] if values else default

    def seconds(self, key, default, section="Service"):
        """A time span (systemd.time(7)) in seconds."""
        text = self.get(key, "", section)
        if not text:
            return default
        units = {"": 1, "s": 1, "sec": 1, "ms": 0.001, "min": 60, "m": 60, "h": 3600}
        if text == "infinity":
            return float("inf")
        return sum(float(n) * units[u] for n, u in re.findall(r"([0-9.]+)\s*([a-z]*)", text))

    def environment(self):
        """Environment= and EnvironmentFile= in the order of systemd.exec(5)."""
        found = {}
        for line in self.all("Environment"):
            found.update(word.split("=", 1) for word in shlex.split(line) if "=" in word)
        for name in self.all("EnvironmentFile"):
            path = name.lstrip("-")
            if not os.path.isfile(path):
                continue
            with open(path, encoding="utf-8") as file:
                for line in file:
                    line = line.strip()
                    if line and line[0] not in "#;" and "=" in line:
                        key, value = line.split("=", 1)
                        found[key.strip()] = " ".join(shlex.split(value))
        return found

    def commands(self, key, environment):
        """Commands as (may fail, words)."""
        return [self._command(line, environment) for line in self.all(key)]

    @staticmethod
    def _command(line, environment):
        prefix = re.match(r"[-@:+!]*", line)[0]
        words = []
        for word in shlex.split(line[len(prefix):]):
            whole = re.fullmatch(r"\$(\w+)", word)
            if whole:
                words += environment.get(whole[1], "").split()
            else:
                words.append(re.sub(r"\$\{(\w+)\}", lambda m: environment.get(m[1], ""), word))
        return "-" in prefix, words

    def condition(self):
        """Whether its conditions on files hold."""
        for key, holds in (("ConditionPathExists", os.path.exists),
                           ("ConditionFileNotEmpty", lambda p: os.path.isfile(p) and os.path.getsize(p) > 0)):
            for path in self.all(key, "Unit"):
                if holds(path.lstrip("!|")) == path.startswith("!"):
                    return False
        return True

    def wanted_by(self):
        return " ".join(self.all("WantedBy", "Install")).split()
