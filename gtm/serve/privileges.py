"""A process with capabilities in, one without any out."""

from __future__ import annotations

import ctypes

_PR_SET_NO_NEW_PRIVS, _CAPABILITY_VERSION_3 = 38, 0x20080522  # linux/prctl.h, linux/capability.h


def give_up() -> None:
    """Give up every capability: the sockets are open, and this is the process that strangers write to."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    head = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    if libc.capset(head, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")
