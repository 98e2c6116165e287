# SPDX-License-Identifier: MIT OR Apache-2.0
"""The Augur accelerator for Python.

    import augur, numpy as np

    card = augur.open()
    a = card.array(np.random.rand(512, 512).astype(np.float32))
    b = card.array(np.random.rand(512, 512).astype(np.float32))
    c = card.empty((512, 512), np.float32)
    with card.commands() as commands:
        commands.matmul(c, a, b.T)
        commands.softmax(c, c, axis=1)
    print(c.numpy().sum(axis=1))

An Array is memory of the card. Array.map() is a numpy array over the same bytes, in
the card's aperture: nothing is copied, and its elements change when engines write
them. Array.numpy() is a copy, made by DMA. Commands take effect one after another and
have ended when the with block is left; in between numpy and the engines are not
ordered.
"""

from ctypes import byref, c_int, c_uint32, c_uint64, c_void_p
import ctypes
import os
import time

import numpy as np

from . import _library
from ._library import CardLost, Error, ListFailed, NoCard, NoMemory, TimedOut

__all__ = [
    "Array", "CardLost", "Commands", "Device", "Error", "ListFailed", "NoCard", "NoMemory",
    "Submission", "TimedOut", "Timeline", "open",
]

_TYPES = {
    np.dtype(np.uint8): 1,
    np.dtype(np.int8): 2,
    np.dtype(np.int16): 3,
    np.dtype(np.int32): 4,
    np.dtype(np.float32): 6,
}
_REDUCTIONS = {"sum": 0, "mean": 1, "maximum": 2}
_PRIORITIES = {"low": 0, "normal": 1, "high": 2}
_ADVICE = {"normal": 0, "will-need": 1, "sequential": 2, "random": 3, "pin": 4, "unpin": 5}


def _nanoseconds(timeout):
    """Seconds as the library takes them; None is without end."""
    return -1 if timeout is None else int(timeout * 1e9)


def _chosen(names, name):
    """The number behind a name."""
    if name not in names:
        raise ValueError(f"{name!r} is none of {', '.join(names)}")
    return names[name]


def open(path=None):
    """Opens a card: the first one, or the one behind a device file."""
    return Device(path)


class Device:
    """An open card, and a context of its own on it."""

    def __init__(self, path=None):
        name = None if path is None else str(path).encode()
        self._handle = _library.handle("open", name)

    def __del__(self):
        _library.release("close", getattr(self, "_handle", None))

    @property
    def information(self):
        """Sizes and numbers of the card, by name."""
        answer = _library.Information()
        _library.call("query", self._handle, byref(answer))
        return {name: getattr(answer, name) for name, _ in answer._fields_}

    def empty(self, shape, dtype=np.float32):
        """A new array; its elements are zero."""
        dtype = np.dtype(dtype)
        if dtype not in _TYPES:
            raise ValueError(f"the card has no elements of {dtype}")
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        elements = int(np.prod(shape, dtype=np.uint64)) if shape else 0
        memory = _Memory(self, max(elements, 1) * dtype.itemsize)
        tensor = _library.Tensor()
        extents = (c_uint32 * max(len(shape), 1))(*shape)
        _library.call("object_tensor", memory.handle, _TYPES[dtype], 0, len(shape), extents,
                      byref(tensor))
        return Array(memory, tensor, dtype)

    def array(self, values, dtype=None):
        """A new array with these values, copied by DMA."""
        values = np.ascontiguousarray(values, dtype=dtype)
        made = self.empty(values.shape, values.dtype)
        made.set(values)
        return made

    def commands(self):
        """A list of commands, run when its with block is left."""
        return Commands(self)

    def run(self, *lists, queue=0):
        """Submits several Commands at once, all or none of them, and waits for them."""
        self.submit(*lists, queue=queue).wait()

    def submit(self, *lists, queue=0, after=(), passes=()):
        """Submits several Commands at once, all or none of them, without waiting.

        They begin when all points of after have been passed, and pass those of passes
        when they have ended, well or not; a point is what Timeline.at() gives. Somebody
        must have been submitted before who passes the points of after."""
        if not lists:
            raise ValueError("no commands to submit")
        if any(commands._device is not self for commands in lists):
            raise ValueError("commands belong to another device")
        handles = (c_void_p * len(lists))(*[commands._handle for commands in lists])
        before, behind = [(_library.Point * max(len(points), 1))(*[
            (timeline._handle, value) for timeline, value in points]) for points in (after, passes)]
        first = c_uint64()
        _library.call("submit_ordered", self._handle, queue, handles, len(lists), before,
                      len(after), behind, len(passes), byref(first))
        return Submission(self, lists, first.value)

    def timeline(self):
        """A new timeline, at point 0."""
        return Timeline(self)

    def set_priority(self, priority):
        """How often its lists get engines: "low", "normal" or, if allowed, "high"."""
        _library.call("set_priority", self._handle, _chosen(_PRIORITIES, priority))


class Submission:
    """Commands on their way; it keeps what they use until they have ended."""

    def __init__(self, device, lists, first):
        self._device = device
        self._lists = lists
        self._fences = list(range(first, first + len(lists)))
        self._failure = None

    def __del__(self):
        try:
            self.wait()
        except Exception:  # Whoever wants to know has waited.
            pass

    def wait(self, timeout=None):
        """Waits until they have ended, at most timeout seconds; raises what the first of
        them failed with."""
        end = None if timeout is None else time.monotonic() + timeout
        while self._fences:
            left = None if end is None else max(end - time.monotonic(), 0)
            try:
                _library.call("wait", self._device._handle, self._fences[0], _nanoseconds(left),
                              None)
            except TimedOut:
                raise
            except Error as error:
                self._failure = self._failure or error
            del self._fences[0]
        self._lists = ()
        if self._failure:
            raise self._failure


class Timeline:
    """A row of points that are passed in order, by the program or by commands."""

    def __init__(self, device):
        self._device = device
        self._handle = _library.handle("timeline_create", device._handle)

    def __del__(self):
        _library.release("timeline_destroy", getattr(self, "_handle", None))

    def at(self, value):
        """A point, for Device.submit(); 0 has always been passed."""
        return self, value

    def signal(self, value):
        """Passes a point."""
        _library.call("timeline_pass", self._handle, value)

    def wait(self, value, timeout=None):
        """Waits until a point has been passed, for at most timeout seconds."""
        _library.call("timeline_wait", self._handle, value, _nanoseconds(timeout))


class _Memory:
    """An object in device memory; arrays that view it keep it."""

    def __init__(self, device, size):
        self.device = device
        self.handle = _library.handle("object_create", device._handle, size)

    def __del__(self):
        _library.release("object_destroy", getattr(self, "handle", None))

    def bytes(self, size):
        """The first bytes, as transfers take them."""
        tensor = _library.Tensor()
        extents = (c_uint32 * 1)(size)
        _library.call("object_tensor", self.handle, 1, 0, 1, extents, byref(tensor))
        return tensor

    def map(self):
        """The address of the first byte in the program."""
        return _library.handle("object_map", self.handle).value

    def copy_from(self, other, size):
        """Copies the first bytes of another device's memory."""
        descriptor = c_int()
        _library.call("object_share", other.handle, byref(descriptor))
        try:
            buffer = _library.handle("buffer_import", self.device._handle, descriptor)
        finally:
            os.close(descriptor.value)
        try:
            _library.call("buffer_copy_to", buffer, 0, self.handle, 0, size)
        finally:
            _library.release("buffer_destroy", buffer)


class Array:
    """Elements in device memory: a view of an object, as numpy has them."""

    def __init__(self, memory, tensor, dtype):
        self._memory = memory
        self._tensor = tensor
        self.dtype = dtype

    @property
    def shape(self):
        return tuple(self._tensor.shape[: self._tensor.rank])

    @property
    def strides(self):
        return tuple(self._tensor.stride[: self._tensor.rank])

    @property
    def T(self):
        """The view with dimensions in the opposite order; nothing is copied."""
        return self._view(list(reversed(self.shape)), list(reversed(self.strides)), 0)

    def __getitem__(self, key):
        """A view by slices, whose steps are positive; indices take dimensions away."""
        keys = key if isinstance(key, tuple) else (key,)
        if len(keys) > len(self.shape):
            raise IndexError(f"{len(keys)} indices for {len(self.shape)} dimensions")
        keys += (slice(None),) * (len(self.shape) - len(keys))
        shape, strides, offset = [], [], 0
        for part, extent, stride in zip(keys, self.shape, self.strides):
            if isinstance(part, slice):
                first, last, step = part.indices(extent)
                if step < 1 or last <= first:
                    raise IndexError("a view has elements, in order")
                shape.append((last - first + step - 1) // step)
                strides.append(stride * step)
            else:
                first = range(extent)[part]
            offset += first * stride
        if not shape:
            shape, strides = [1], [self.dtype.itemsize]
        return self._view(shape, strides, offset)

    def _view(self, shape, strides, offset):
        tensor = _library.Tensor(address=self._tensor.address + offset,
                                 type=self._tensor.type, rank=len(shape))
        for dimension, (extent, stride) in enumerate(zip(shape, strides)):
            tensor.shape[dimension] = extent
            tensor.stride[dimension] = stride
        return Array(self._memory, tensor, self.dtype)

    def map(self):
        """A numpy array over the same bytes, in the card's aperture."""
        start = self._memory.map()
        base = self._memory.bytes(1).address
        size = _library.object_bytes(self._memory.handle)
        whole = (ctypes.c_uint8 * size).from_address(start)
        # The mapping lives as long as the object: numpy keeps `whole`, this keeps it.
        whole._memory = self._memory
        return np.ndarray(self.shape, self.dtype, whole, self._tensor.address - base, self.strides)

    def numpy(self):
        """A copy of the elements, made by DMA."""
        if self._whole():
            copy = np.empty(self.shape, self.dtype)
            with self._memory.device.commands() as commands:
                commands._download(copy, self)
            return copy
        return self._dense_copy().numpy()

    def _dense_copy(self):
        dense = self._memory.device.empty(self.shape, self.dtype)
        with self._memory.device.commands() as commands:
            commands.copy(dense, self)
        return dense

    def set(self, values):
        """Sets all elements, by DMA."""
        values = np.ascontiguousarray(values, self.dtype)
        if values.shape != self.shape:
            raise ValueError(f"{values.shape} is not {self.shape}")
        target = self if self._whole() else self._memory.device.empty(self.shape, self.dtype)
        with self._memory.device.commands() as commands:
            commands._upload(target, values)
            if target is not self:
                commands.copy(self, target)

    def _whole(self):
        """Whether it is dense and begins where its object does."""
        dense = np.empty(self.shape, self.dtype).strides
        return self.strides == dense and self._tensor.address == self._memory.bytes(1).address

    def advise(self, advice):
        """Says how the array's whole memory will be used when mapped: "will-need",
        "sequential", "random", "pin", "unpin", or "normal" to forget it."""
        memory = self._memory.handle
        _library.call("object_advise", memory, 0, _library.object_bytes(memory),
                      _chosen(_ADVICE, advice))

    def wait(self, readers=True, timeout=None):
        """Waits until no list writes the array's memory any more, or with readers uses
        it, for at most timeout seconds."""
        _library.call("object_wait", self._memory.handle, int(readers), _nanoseconds(timeout))

    def to(self, device):
        """A copy on another device, which may be another card's."""
        dense = self if self._whole() else self._dense_copy()
        made = device.empty(self.shape, self.dtype)
        size = int(np.prod(self.shape, dtype=np.uint64)) * self.dtype.itemsize
        made._memory.copy_from(dense._memory, size)
        return made

    def __repr__(self):
        return f"<augur.Array {self.shape} {self.dtype}>"


class Commands:
    """Commands that take effect one after another. The destination comes first."""

    def __init__(self, device):
        self._device = device
        self._handle = _library.handle("list_create")
        # Whatever commands use lives until they have ended.
        self._kept = []

    def __del__(self):
        _library.release("list_destroy", getattr(self, "_handle", None))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.run()

    def run(self):
        """Runs the commands and waits until they have ended."""
        _library.call("run", self._device._handle, self._handle)

    def _add(self, name, arrays, *parameters):
        for array in arrays:
            if array._memory.device is not self._device:
                raise ValueError("an array belongs to another device")
        self._kept.extend(arrays)
        tensors = [byref(array._tensor) for array in arrays]
        _library.call("list_" + name, self._handle, *tensors, *parameters)

    def _upload(self, array, values):
        self._kept.extend([array, values])
        tensor = array._memory.bytes(values.nbytes)
        _library.call("list_upload", self._handle, byref(tensor), values.ctypes.data, values.nbytes)

    def _download(self, values, array):
        self._kept.extend([array, values])
        tensor = array._memory.bytes(values.nbytes)
        _library.call("list_download", self._handle, values.ctypes.data, values.nbytes,
                      byref(tensor))

    def copy(self, to, source):
        """to = source; they may overlap."""
        self._add("copy", [to, source])

    def fill(self, to, value):
        """Every element of to = value."""
        bits = np.array([value], to.dtype).tobytes()
        self._add("fill", [to], int.from_bytes(bits, "little"))

    def add(self, to, a, b):
        """to = a + b; bytes saturate."""
        self._add("add", [to, a, b])

    def multiply(self, to, a, b):
        """to = a * b; bytes saturate."""
        self._add("multiply", [to, a, b])

    def relu(self, to, source):
        """to = max(source, 0)."""
        self._add("relu", [to, source])

    def scale(self, to, source, scale, bias=0.0):
        """to = source * scale + bias."""
        self._add("scale", [to, source], scale, bias)

    def matmul(self, to, a, b, accumulate=False):
        """to = a @ b, plus what to held if accumulate: float32, or int8 into int32."""
        self._add("matmul", [to, a, b], int(accumulate))

    def matmul_subtract(self, to, a, b):
        """to = to - a @ b, of the types that matmul takes."""
        self._add("matmul_subtract", [to, a, b])

    def cholesky(self, matrix):
        """matrix = its lower factor, zero above the diagonal; float32."""
        self._add("cholesky", [matrix])

    def triangular_solve(self, x, l):
        """x = what times l.T is x; l is lower triangular; float32."""
        self._add("triangular_solve", [x, l])

    def conv2d(self, to, source, weights, stride=(1, 1), pad=(0, 0, 0, 0), repeat_edge=False,
               groups=1, shift=0, absolute=False, bias=0):
        """Cross-correlation, channels last; pad is top, bottom, left, right."""
        top, bottom, left, right = pad
        bits = np.array([bias], np.float32 if to.dtype == np.float32 else np.int32).tobytes()
        parameters = _library.Convolution(
            stride_y=stride[0], stride_x=stride[1], pad_top=top, pad_bottom=bottom, pad_left=left,
            pad_right=right, groups=groups, shift=shift, repeat_edge=repeat_edge,
            absolute=absolute, bias=int.from_bytes(bits, "little"))
        self._add("conv2d", [to, source, weights], byref(parameters))

    def resample(self, to, source, factor):
        """to = the mean of blocks of factor by factor elements, channels last."""
        self._add("resample", [to, source], factor)

    def reduce(self, to, source, axis, how="sum"):
        """to = source reduced along axis ('sum', 'mean', 'maximum'), where to has length 1."""
        self._add("reduce", [to, source], axis, _REDUCTIONS[how])

    def softmax(self, to, source, axis):
        """to = softmax of source along axis."""
        self._add("softmax", [to, source], axis)

    def layer_norm(self, to, source, scale, bias, axis, epsilon=1e-5):
        """to = source normalised along axis, times scale plus bias."""
        self._add("layer_norm", [to, source, scale, bias], axis, epsilon)

    def gather(self, to, table, indices):
        """to[i] = table[indices[i]]; indices are int32."""
        self._add("gather", [to, table, indices])

    def scatter(self, table, source, indices):
        """table[indices[i]] = source[i], in order of i."""
        self._add("scatter", [table, source, indices])
