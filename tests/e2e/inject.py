"""Has another process make system calls: test_sandbox.py starts it, as whoever may trace that process.

    inject.py JOB

JOB names a JSON file: {"pid": PID, "memory": address of 4096 writable bytes in it, "calls": [[number, argument...]...]}.
Arguments are integers, or strings (bytes as latin-1), which are written to that memory and become pointers.
Prints one line "RESULTS [...]": what the kernel returned for each call, or "killed" for that one and all behind it.

The calls are made by the main thread, from whatever system call instruction its program has; the others stand still meanwhile, and all
go on where they were. (Debuggers restore more than registers, and not each knows all that a new processor has.)
"""
import ctypes
import itertools
import json
import os
import platform
import re
import signal
import sys

SINGLESTEP, DETACH, GETREGSET, SETREGSET, SEIZE, INTERRUPT = 9, 17, 0x4204, 0x4205, 0x4206, 0x4207
GENERAL_REGISTERS = 1  # NT_PRSTATUS
ALL_CHILDREN = 0x40000000  # __WALL: threads too
MEMORY_BYTES = 4096

# Of each processor: the system call instruction, how many registers there are, and where among them stand number, arguments, result,
# the address of the next instruction, and the number of the call that was interrupted, if that is looked at when it goes on.
MACHINES = {
    "x86_64": (b"\x0f\x05", 27, 10, (14, 13, 12, 7, 9, 8), 10, 16, 15),
    "aarch64": (b"\x01\0\0\xd4", 34, 8, (0, 1, 2, 3, 4, 5), 0, 32, None),
}
INSTRUCTION, COUNT, NUMBER, ARGUMENTS, RESULT, NEXT, INTERRUPTED = MACHINES[platform.machine()]

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def ptrace(request, thread, address=None, data=None):
    if libc.ptrace(request, thread, address, data) < 0:
        sys.exit(f"ptrace: {os.strerror(ctypes.get_errno())}")


def registers(request, thread, values):
    vector = Vector(ctypes.addressof(values), ctypes.sizeof(values))
    ptrace(request, thread, GENERAL_REGISTERS, ctypes.addressof(vector))
    return values


def stop(thread):
    ptrace(SEIZE, thread)
    ptrace(INTERRUPT, thread)
    os.waitpid(thread, ALL_CHILDREN)


def find_instruction(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            start, end, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if "x" not in mode or "[" in line:
                continue
            memory.seek(int(start, 16))
            code = memory.read(int(end, 16) - int(start, 16))
            for found in re.finditer(re.escape(INSTRUCTION), code):
                if found.start() % len(INSTRUCTION) == 0 or len(INSTRUCTION) == 2:
                    return int(start, 16) + found.start()
    sys.exit("no system call instruction")


def step(thread):
    """Whether it lives on."""
    while True:
        ptrace(SINGLESTEP, thread)
        status = os.waitpid(thread, ALL_CHILDREN)[1]
        if not os.WIFSTOPPED(status):
            return False
        if os.WSTOPSIG(status) == signal.SIGTRAP:
            return True


def call(thread, saved, instruction, number, arguments):
    values = type(saved)(*saved)
    for at, value in itertools.zip_longest(ARGUMENTS, arguments, fillvalue=0):
        values[at] = value
    if INTERRUPTED is not None:
        values[INTERRUPTED] = -1  # not to be made again
    values[NUMBER], values[NEXT] = number, instruction
    registers(SETREGSET, thread, values)
    if not step(thread):
        return "killed"
    return registers(GETREGSET, thread, values)[RESULT]


def write_strings(memory, at, arguments):
    """The arguments, with addresses for strings."""
    for argument in arguments:
        if isinstance(argument, str):
            data = argument.encode("latin-1") + b"\0"
            os.pwrite(memory, data, at)
            yield at
            at += len(data) + 15 & ~15
        else:
            yield argument


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        job = json.load(file)
    pid = job["pid"]
    threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    for thread in threads:
        stop(thread)
    memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
    bytes_before = os.pread(memory, MEMORY_BYTES, job["memory"])
    saved = registers(GETREGSET, pid, (ctypes.c_long * COUNT)())
    instruction, results = find_instruction(pid), []
    for number, *arguments in job["calls"]:
        results.append(call(pid, saved, instruction, number, list(write_strings(memory, job["memory"], arguments))))
        if results[-1] == "killed":
            break
    print("RESULTS", json.dumps(results))
    if results[-1] != "killed":
        os.pwrite(memory, bytes_before, job["memory"])
        registers(SETREGSET, pid, saved)
        for thread in threads:
            ptrace(DETACH, thread)


main()
