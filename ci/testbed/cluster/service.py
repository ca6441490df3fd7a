"""One service of a board: its processes and its state, as systemd.service(5) has them."""

import grp
import os
import pwd
import selectors
import shutil
import signal
import socket
import subprocess
import time

UNIT_DIR = "/etc/systemd/system"
BURST, INTERVAL = 5, 10.0  # DefaultStartLimitBurst=, DefaultStartLimitIntervalSec=


class Service:
    """State, and what makes it change."""

    def __init__(self, unit, loop):
        self.unit, self.loop = unit, loop
        self.state, self.sub, self.result = "inactive", "dead", "success"
        self.restarts, self.status, self.pid = 0, 0, 0
        self.child, self.commands, self.after = None, [], None
        self.due, self.then = None, None
        self.starts, self.notify, self.again = [], None, False

    # What systemctl asks for.

    def start(self):
        if self.state not in ("active", "activating") or self.sub == "auto-restart":
            if self.sub != "auto-restart":
                self.restarts = 0
            self._begin()

    def stop(self):
        self.again = False
        if self.sub == "auto-restart" or self.state == "failed":
            self._settle("inactive", "dead")
        elif self.state in ("active", "activating"):
            event(f"{self.unit.name} stopped")
            self._terminate()

    def restart(self):
        if self.state in ("active", "activating") and self.sub != "auto-restart":
            self._terminate()
            self.again = True
        else:
            self.start()

    def try_restart(self):
        if self.state == "active":
            self.restart()

    def reload_or_restart(self):
        self.reload() if self.state == "active" and self.unit.all("ExecReload") else self.restart()

    def reload(self):
        environment = self._environment() | {"MAINPID": str(self.pid)}
        for _, words in self.unit.commands("ExecReload", environment):
            subprocess.run(words, env=environment, check=False)

    def reset_failed(self):
        self.starts.clear()
        self.restarts = 0
        if self.state == "failed":
            self._settle("inactive", "dead")

    def links(self):
        """Its links in the folders of targets that want it."""
        return [f"{UNIT_DIR}/{t}/{self.unit.name}" for t in os.listdir(UNIT_DIR)
                if t.endswith((".wants", ".requires")) and os.path.islink(f"{UNIT_DIR}/{t}/{self.unit.name}")]

    def enable(self):
        for target in self.unit.wanted_by():
            os.makedirs(f"{UNIT_DIR}/{target}.wants", exist_ok=True)
            link = f"{UNIT_DIR}/{target}.wants/{self.unit.name}"
            if not os.path.islink(link):
                os.symlink(self.unit.path, link)

    def disable(self):
        for link in self.links():
            os.unlink(link)

    def mask(self):
        if not os.path.lexists(f"{UNIT_DIR}/{self.unit.name}"):
            os.symlink("/dev/null", f"{UNIT_DIR}/{self.unit.name}")

    def unmask(self):
        if os.path.islink(f"{UNIT_DIR}/{self.unit.name}"):
            os.unlink(f"{UNIT_DIR}/{self.unit.name}")

    def show(self, options):
        known = {"Id": self.unit.name, "LoadState": "loaded" if self.unit.path else "not-found",
                 "ActiveState": self.state, "SubState": self.sub, "Result": self.result,
                 "NRestarts": self.restarts, "MainPID": self.pid, "ExecMainStatus": self.status, "Job": "",
                 "UnitFileState": "enabled" if self.links() else "disabled"}
        wanted = [o.split("=", 1)[1] for o in options if o.startswith("--property=")]
        names = ",".join(wanted).split(",") if wanted else known
        return "".join(f"{n}={known[n]}\n" for n in names if n in known)

    # What happens.

    def ended(self, pid, status):
        """A process ended; `status` is negative for a signal."""
        if self.child == pid:
            self.child = None
            may_fail, _ = self.current
            if status and not may_fail:
                self._log(f"{self.current[1][0]} ended with {status}")
                self._finish(status)
            else:
                self._next()
        elif self.pid == pid and pid:
            self.pid, self.status = 0, status
            self._log(f"main process ended with {status}")
            self._finish(status)

    def tick(self):
        if self.due is not None and time.monotonic() >= self.due:
            then, self.due, self.then = self.then, None, None
            then()

    def _begin(self):
        now = time.monotonic()
        interval = self.unit.seconds("StartLimitIntervalSec", INTERVAL, "Unit")
        burst = int(self.unit.get("StartLimitBurst", BURST, "Unit"))
        self.starts = [t for t in self.starts if now - t < interval]
        if interval and len(self.starts) >= burst:
            self.result = "start-limit-hit"
            return self._settle("failed", "failed")
        self.starts.append(now)
        if not self.unit.condition():
            return self._settle("inactive", "dead")
        self.due = self.then = None
        self.state, self.sub, self.result = "activating", "start-pre", "success"
        environment = self._environment()
        for key, mode in (("RuntimeDirectory", "/run"), ("StateDirectory", "/var/lib")):
            for name in " ".join(self.unit.all(key)).split():
                os.makedirs(f"{mode}/{name}", exist_ok=True)
        self.commands = self.unit.commands("ExecStartPre", environment)
        self.after = self._main
        return self._next()

    def _next(self):
        """Runs what is left of a list of commands, then what follows it."""
        if not self.commands:
            return self.after()
        self.current = self.commands.pop(0)
        self.child = self._spawn(self.current[1], self._environment())
        return None if self.child else self._next()

    def _main(self):
        environment = self._environment()
        kind = self.unit.get("Type", "simple")
        commands = self.unit.commands("ExecStart", environment)
        if kind in ("oneshot", "forking"):
            self.sub, self.commands, self.after = "start", commands, self._forked
            return self._next()
        self.pid = self._spawn(commands[0][1], environment) or 0
        event(f"{self.unit.name} started")
        if not self.pid:
            self.status = 203
            return self._finish(203)
        if kind == "notify":
            self.sub = "start"
        else:
            self.state, self.sub = "active", "running"
        return None

    def _forked(self):
        pid_file = self.unit.get("PIDFile")
        if self.unit.get("Type") == "forking" and os.path.exists(pid_file):
            with open(pid_file, encoding="utf-8") as file:
                self.pid = int(file.read().split()[0])
            self.state, self.sub = "active", "running"
        elif self.unit.get("RemainAfterExit") in ("yes", "true"):
            self.state, self.sub = "active", "exited"
        else:
            self._settle("inactive", "dead")

    def _finish(self, status):
        """The main process, or one before it, is gone: restart, fail or rest."""
        stopped = self.state == "deactivating"
        good = status in (0, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP) or str(status) in self._statuses("SuccessExitStatus")
        self.result = "success" if good or stopped else "exit-code" if status > 0 else "signal"
        if self.unit.get("KillMode", "control-group") in ("control-group", "mixed"):
            self._kill_rest()
        self.commands = []
        if stopped:
            again, self.again = self.again, False
            self._settle("inactive", "dead")
            if again:
                self._begin()
        elif self._restarts(status, good):
            self.state, self.sub = "activating", "auto-restart"
            self.due, self.then = time.monotonic() + self.unit.seconds("RestartSec", 0.1), self._restart
        elif good and self.unit.get("RemainAfterExit") in ("yes", "true"):
            self.state, self.sub = "active", "exited"
        else:
            self._settle("inactive" if good else "failed", "dead" if good else "failed")

    def _restart(self):
        self.restarts += 1
        self._begin()

    def _restarts(self, status, good):
        if str(status) in self._statuses("RestartPreventExitStatus"):
            return False
        policy = self.unit.get("Restart", "no")
        return policy == "always" or (policy == "on-success" and good) or (
            policy == "on-failure" and not good) or (policy in ("on-abnormal", "on-abort") and status < 0 and not good)

    def _statuses(self, key):
        return " ".join(self.unit.all(key)).split()

    def _terminate(self):
        self.state, self.sub = "deactivating", "stop-sigterm"
        mode = self.unit.get("KillMode", "control-group")
        targets = [p for p in (self.pid, self.child) if p] if mode in ("process", "mixed") else self._processes()
        environment = self._environment() | {"MAINPID": str(self.pid)}
        for _, words in self.unit.commands("ExecStop", environment):
            self._spawn(words, environment)
        if not targets:
            return self._finish(0)
        for pid in targets:
            kill(pid, signal.SIGTERM)
        limit = min(self.unit.seconds("TimeoutStopSec", 90), 90)
        self.due, self.then = time.monotonic() + limit, lambda: [kill(p, signal.SIGKILL) for p in self._processes()]
        return None

    def _kill_rest(self):
        for pid in self._processes():
            kill(pid, signal.SIGKILL)

    def _settle(self, state, sub):
        self.state, self.sub, self.due, self.then = state, sub, None, None

    def _processes(self):
        """Processes that carry this service's mark in their environment."""
        mark, found = f"BED_UNIT={self.unit.name}".encode(), []
        for name in os.listdir("/proc"):
            if name.isdigit() and name != "1":
                try:
                    with open(f"/proc/{name}/environ", "rb") as file:
                        if mark in file.read().split(b"\0"):
                            found.append(int(name))
                except OSError:
                    pass
        return found

    def _environment(self):
        base = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "BED_UNIT": self.unit.name, "INVOCATION_ID": "0" * 32}
        if self.unit.get("Type") == "notify" or self.unit.get("NotifyAccess"):
            base["NOTIFY_SOCKET"] = self._listen()
        return base | self.unit.environment()

    def _listen(self):
        path = f"/run/bed/notify.{self.unit.name}"
        if self.notify is None:
            self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self.notify.bind(path)
            os.chmod(path, 0o666)
            self.loop.register(self.notify, selectors.EVENT_READ, self._notified)
        return path

    def _notified(self):
        for line in self.notify.recv(65536).decode(errors="replace").splitlines():
            if line == "READY=1" and self.state == "activating" and self.pid:
                self.state, self.sub = "active", "running"
                event(f"{self.unit.name} ready")

    def _spawn(self, words, environment):
        """Starts a program with its output in the service's log; no pid where there is none."""
        program = shutil.which(words[0])
        if not program:
            self._log(f"{words[0]}: no such program")
            return None
        user, group = self.unit.get("User") or "root", self.unit.get("Group")
        account = pwd.getpwnam(user)
        gid = grp.getgrnam(group).gr_gid if group else account.pw_gid
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            out = os.open(f"/run/bed/log/{self.unit.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for target, source in ((0, os.open("/dev/null", os.O_RDONLY)), (1, out), (2, out)):
                os.dup2(source, target)
            if account.pw_uid:
                os.setgroups(os.getgrouplist(user, gid))
                os.setgid(gid)
                os.setuid(account.pw_uid)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.execve(program, words, environment)
        finally:
            os._exit(203)

    def _log(self, line):
        with open(f"/run/bed/log/{self.unit.name}.log", "a", encoding="utf-8") as log:
            log.write(f"{self.unit.name}: {line}\n")


def event(text):
    """Notes what happened when, for who measures; seconds of the clock that all boards share."""
    with open("/run/bed/log/events", "a", encoding="utf-8") as log:
        log.write(f"{time.monotonic():.3f} {text}\n")


def kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
