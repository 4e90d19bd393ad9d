"""Runs a program where io_uring is forbidden, as Docker's default profile forbids it; the arguments are the program and its own."""
import ctypes
import errno
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD_NUMBER, JUMP_IF_AT_LEAST, JUMP_IF_GREATER, RETURN = 0x20, 0x35, 0x25, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000
IO_URING_SETUP, IO_URING_REGISTER = 425, 427  # and ENTER between them, on every architecture

# struct sock_filter: code, how far to jump if so and if not, operand
instructions = b"".join(struct.pack("=HBBI", *line) for line in [
    (LOAD_NUMBER, 0, 0, 0),
    (JUMP_IF_AT_LEAST, 0, 2, IO_URING_SETUP),
    (JUMP_IF_GREATER, 1, 0, IO_URING_REGISTER),
    (RETURN, 0, 0, ERRNO | errno.EPERM),
    (RETURN, 0, 0, ALLOW),
])
memory = ctypes.create_string_buffer(instructions, len(instructions))
program = struct.pack("@HP", len(instructions) // 8, ctypes.addressof(memory))

libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
