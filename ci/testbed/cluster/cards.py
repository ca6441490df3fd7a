"""Bakes the cards of a profile, and mounts their root file systems to be the ground of boards."""

import json
import os
import re
import subprocess

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
CARDS = f"{TOP}/target/cluster-test/cards"


class Deck:
    """All cards of one profile: for each node one a incarnation, baked in that order."""

    def __init__(self, profile, folder, base, secrets=None, packages=None):
        self.profile, self.folder, self.base, self.packages = profile, folder, base, packages
        self.secrets = secrets or f"{folder}/secrets.json"
        os.makedirs(folder, exist_ok=True)

    @classmethod
    def named(cls, name, secrets_of=None):
        """Of a profile in ci/testbed/profiles, perhaps baked with the secrets of another."""
        secrets = f"{CARDS}/{secrets_of}/secrets.json" if secrets_of else None
        return cls(f"{TOP}/ci/testbed/profiles/{name}.yaml", f"{CARDS}/{name}", os.environ["BASE"], secrets,
                   os.environ["PACKAGES"])

    def bake(self, *words, check=True):
        """Runs bake for this profile and its secrets."""
        command = [os.environ["BAKE"], *words, "--profile", self.profile, "--secrets", self.secrets]
        return subprocess.run(command, check=check, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def card(self, node, incarnation):
        """Path of the image of `node`, as it is after `incarnation` bakes with --replace less one."""
        image = f"{self.folder}/{node}-{incarnation}.img"
        if not os.path.exists(image):
            if incarnation > 1:
                self.card(node, incarnation - 1)
            words = ["--node", node, "--base", self.base, "--out", image, "--fast", "--force", "--k3s", os.environ["K3S"],
                     "--firstboot", os.environ["FIRSTBOOT"], *(["--replace"] if incarnation > 1 else []),
                     *(["--packages", self.packages] if self.packages else [])]
            done = self.bake(*words, check=False)
            if done.returncode:
                raise SystemExit(f"bake of {node} ended with {done.returncode}:\n{done.stderr}")
        return image

    def root(self, node, incarnation):
        """Folder where the card's root file system is mounted, read-only."""
        folder = f"{os.environ['ARENA']}/cards/{os.path.basename(self.folder)}/{node}-{incarnation}"
        if not os.path.ismount(folder): # runs that share a deck share its folders, not their mounts
            image = self.card(node, incarnation)
            os.makedirs(folder, exist_ok=True)
            start, size = partition(image)
            options = f"loop,ro,noload,offset={start},sizelimit={size}"
            subprocess.run(["mount", "-t", "ext4", "-o", options, image, folder], check=True)
        return folder

    def nodes(self):
        """Names of the profile's nodes, in its order."""
        with open(self.profile, encoding="utf-8") as file:
            return re.findall(r"^ +- *\{name: *([a-z0-9-]+)", file.read(), re.M)

    def kubeconfig(self):
        """The administrator's kubeconfig, written without asking any board."""
        path = f"{self.folder}/kubeconfig"
        if not os.path.exists(path):
            own = f"{path}.{os.getpid()}" # another run may be at it with the same deck
            self.bake("kubeconfig", "--out", own)
            os.rename(own, path)
        with open(path, encoding="utf-8") as file:
            return file.read()


def partition(image):
    """Start and size in bytes of the root partition: the largest."""
    table = json.loads(subprocess.run(["sfdisk", "-J", image], check=True, stdout=subprocess.PIPE).stdout)
    largest = max(table["partitiontable"]["partitions"], key=lambda part: part["size"])
    return largest["start"] * 512, largest["size"] * 512
