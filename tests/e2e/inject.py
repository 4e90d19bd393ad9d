"""Runs inside gdb (test_sandbox.py starts it): has the process it is attached to make system calls.

`job_path` names a JSON file: {"memory": address of 4096 writable bytes, "calls": [[number, argument...]...]}.
Arguments are integers, or strings (bytes as latin-1), which are written to that memory and become pointers.
Prints one line "RESULTS [...]": a number for each call, or "killed" for that one and all behind it.
"""
import json

import gdb

with open(job_path, encoding="ascii") as file:  # noqa: F821
    job = json.load(file)

memory, inferior = job["memory"], gdb.selected_inferior()
saved = bytes(inferior.read_memory(memory, 4096))
results = []
for number, *arguments in job["calls"]:
    values, at = [], memory
    for argument in arguments:
        if isinstance(argument, str):
            data = argument.encode("latin-1") + b"\0"
            inferior.write_memory(at, data)
            values.append(str(at))
            at += len(data) + 15 & ~15
        else:
            values.append(str(argument))
    try:
        call = f"((long (*)(long, long, long, long, long, long, long))&syscall)({', '.join([str(number), *values, *['0'] * (6 - len(values))])})"
        results.append(int(gdb.parse_and_eval(call)))
    except gdb.error as error:
        print(error)
        results.append("killed")
        break
else:
    inferior.write_memory(memory, saved)
print("RESULTS", json.dumps(results))
gdb.execute("detach" if results[-1] != "killed" else "kill")
