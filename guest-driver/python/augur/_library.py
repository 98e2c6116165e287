# SPDX-License-Identifier: MIT OR Apache-2.0
"""libaugur by ctypes: the declarations of augur.h, and errors as exceptions.

What the functions mean stands in augur.h; nothing is decided here.
"""

import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int64, c_size_t
from ctypes import c_uint8, c_uint16, c_uint32, c_uint64, c_void_p

RANK_LIMIT = 6


class Error(Exception):
    """Something that the library, the driver or the card refused."""


class NoCard(Error):
    """There is no card, or it cannot be opened."""


class NoMemory(Error, MemoryError):
    """Device memory is exhausted."""


class CardLost(Error):
    """The card was lost."""


class TimedOut(Error, TimeoutError):
    """The time allowed was over."""


class ListFailed(Error):
    """The card refused a command list or failed while executing it."""


_EXCEPTIONS = {
    -1: ValueError,
    -2: NoCard,
    -3: NoMemory,
    -4: CardLost,
    -5: TimedOut,
    -6: ListFailed,
    -7: OSError,
}


class Tensor(ctypes.Structure):
    """struct augur_tensor"""

    _fields_ = [
        ("address", c_uint64),
        ("type", c_uint8),
        ("rank", c_uint8),
        ("reserved", c_uint8 * 6),
        ("shape", c_uint32 * RANK_LIMIT),
        ("stride", c_uint64 * RANK_LIMIT),
    ]


class Information(ctypes.Structure):
    """struct augur_information"""

    _fields_ = [
        ("memory_bytes", c_uint64),
        ("usable_bytes", c_uint64),
        ("aperture_bytes", c_uint64),
        ("compute_engines", c_uint32),
        ("dma_channels", c_uint32),
        ("submit_queues", c_uint32),
        ("context", c_uint32),
    ]


class Convolution(ctypes.Structure):
    """struct augur_convolution"""

    _fields_ = [
        ("stride_y", c_uint16),
        ("stride_x", c_uint16),
        ("pad_top", c_uint16),
        ("pad_bottom", c_uint16),
        ("pad_left", c_uint16),
        ("pad_right", c_uint16),
        ("groups", c_uint16),
        ("shift", c_uint16),
        ("repeat_edge", c_uint8),
        ("absolute", c_uint8),
        ("reserved", c_uint16),
        ("bias", c_uint32),
    ]


class Point(ctypes.Structure):
    """struct augur_point"""

    _fields_ = [("timeline", c_void_p), ("value", c_uint64)]


def _load():
    beside = os.path.join(os.path.dirname(__file__), "libaugur.so")
    return ctypes.CDLL(beside if os.path.exists(beside) else "libaugur.so")


_library = _load()
_library.augur_message.restype = c_char_p
_library.augur_message.argtypes = []
for _name in ["close", "object_destroy", "list_destroy", "buffer_destroy", "timeline_destroy"]:
    _function = getattr(_library, "augur_" + _name)
    _function.argtypes = [c_void_p]
    _function.restype = None
_library.augur_object_bytes.restype = c_uint64
_library.augur_object_bytes.argtypes = [c_void_p]

_TENSOR = POINTER(Tensor)
_POINT = POINTER(Point)
_ARGUMENTS = {
    "open": [c_char_p, POINTER(c_void_p)],
    "query": [c_void_p, POINTER(Information)],
    "object_create": [c_void_p, c_uint64, POINTER(c_void_p)],
    "set_priority": [c_void_p, c_int],
    "object_advise": [c_void_p, c_uint64, c_uint64, c_int],
    "object_wait": [c_void_p, c_int, c_int64],
    "object_share": [c_void_p, POINTER(c_int)],
    "buffer_import": [c_void_p, c_int, POINTER(c_void_p)],
    "buffer_copy_to": [c_void_p, c_uint64, c_void_p, c_uint64, c_uint64],
    "object_map": [c_void_p, POINTER(c_void_p)],
    "object_tensor": [c_void_p, c_int, c_uint64, c_uint32, POINTER(c_uint32), _TENSOR],
    "list_create": [POINTER(c_void_p)],
    "list_upload": [c_void_p, _TENSOR, c_void_p, c_size_t],
    "list_download": [c_void_p, c_void_p, c_size_t, _TENSOR],
    "list_copy": [c_void_p, _TENSOR, _TENSOR],
    "list_fill": [c_void_p, _TENSOR, c_uint64],
    "list_add": [c_void_p, _TENSOR, _TENSOR, _TENSOR],
    "list_multiply": [c_void_p, _TENSOR, _TENSOR, _TENSOR],
    "list_relu": [c_void_p, _TENSOR, _TENSOR],
    "list_scale": [c_void_p, _TENSOR, _TENSOR, c_float, c_float],
    "list_matmul": [c_void_p, _TENSOR, _TENSOR, _TENSOR, c_int],
    "list_matmul_subtract": [c_void_p, _TENSOR, _TENSOR, _TENSOR],
    "list_cholesky": [c_void_p, _TENSOR],
    "list_triangular_solve": [c_void_p, _TENSOR, _TENSOR],
    "list_conv2d": [c_void_p, _TENSOR, _TENSOR, _TENSOR, POINTER(Convolution)],
    "list_resample": [c_void_p, _TENSOR, _TENSOR, c_uint32],
    "list_reduce": [c_void_p, _TENSOR, _TENSOR, c_uint32, c_int],
    "list_softmax": [c_void_p, _TENSOR, _TENSOR, c_uint32],
    "list_layer_norm": [c_void_p, _TENSOR, _TENSOR, _TENSOR, _TENSOR, c_uint32, c_float],
    "list_gather": [c_void_p, _TENSOR, _TENSOR, _TENSOR],
    "list_scatter": [c_void_p, _TENSOR, _TENSOR, _TENSOR],
    "timeline_create": [c_void_p, POINTER(c_void_p)],
    "timeline_pass": [c_void_p, c_uint64],
    "timeline_wait": [c_void_p, c_uint64, c_int64],
    "submit_ordered": [c_void_p, c_uint32, POINTER(c_void_p), c_uint32, _POINT, c_uint32, _POINT,
                       c_uint32, POINTER(c_uint64)],
    "wait": [c_void_p, c_uint64, c_int64, c_void_p],
    "run": [c_void_p, c_void_p],
}
for _name, _types in _ARGUMENTS.items():
    _function = getattr(_library, "augur_" + _name)
    _function.argtypes = _types
    _function.restype = c_int


def call(name, *arguments):
    """Calls augur_NAME; a negative result is an exception with its message."""
    result = getattr(_library, "augur_" + name)(*arguments)
    if result:
        message = _library.augur_message().decode(errors="replace")
        raise _EXCEPTIONS.get(result, Error)(message)


def handle(name, *arguments):
    """Calls augur_NAME, whose last argument is where a handle goes."""
    made = c_void_p()
    call(name, *arguments, byref(made))
    return made


def release(name, made):
    """Calls augur_NAME, which gives a handle back."""
    getattr(_library, "augur_" + name)(made)


def object_bytes(made):
    """augur_object_bytes"""
    return _library.augur_object_bytes(made)
