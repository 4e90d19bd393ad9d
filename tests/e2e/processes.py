"""What /proc says about the server's processes."""
import re

from machine import open, os

ROLES = ("gate", "home", "hasher")


def children(pid):
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += [int(child) for child in file.read().split()]
    except FileNotFoundError:
        pass  # gone meanwhile
    return found


def role_of(pid):
    """'gate', 'home', 'hasher' or '': the one place that knows how a process shows its role."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            title = b" ".join(file.read().split(b"\0")[:2]).decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    match = re.search(rf"\b({'|'.join(ROLES)})\b\s*$", title.strip().removesuffix("]").strip())
    return match[1] if match else ""


def by_role(monitor):
    """{'monitor': [pid], 'gate': [...], ...} of all living descendants."""
    found = {"monitor": [monitor]}
    waiting = children(monitor)
    while waiting:
        pid = waiting.pop()
        waiting += children(pid)
        if role := role_of(pid):
            found.setdefault(role, []).append(pid)
    return found


def descriptors(pid):
    """Number of open descriptors; connections that just closed may still count."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def status(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(name + ":"):
                return line.split(":", 1)[1].strip()
    return None
