"""Vectors of one number a sample, for kernels that Numba compiles.

LLVM makes fast code of loops over a batch only if what is added up stays in registers; Numba's
arrays do not. A value of the types here is `LANES` numbers, one a sample, on which the usual
operators act lane by lane, each lane as if it were alone:

    total = zeros32()
    total += load32(array, row) * 2.0           # array: flat, LANES numbers a row
    store32(array, row, total)
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.extending import (
    intrinsic,
    models,
    overload,
    register_model,
)
from numba.np import arrayobj

LANES = 16
"""Samples in a block."""
_LINE = 64  # bytes


_FILES = sorted(Path(__file__).parent.glob("*.py"))
_SOURCES = sha256(b"".join(path.read_bytes() for path in _FILES)).hexdigest()


def compiled(function: Callable) -> Any:
    """Compile a function at its first call, and keep it on disk where there is a place for that.

    What is kept holds code of all files here, but Numba asks only whether that of the function has
    changed; so a digest of all of them is added to what it compares.
    """
    try:
        made: Any = njit(cache=True, nogil=True)(function)
        kept = made._cache._cache_file
        kept._source_stamp = kept._source_stamp, _SOURCES
    except (RuntimeError, AttributeError):  # no place that can be written to, or another Numba
        return njit(nogil=True)(function)
    return made


def rows(*shape: int, dtype: Any = float) -> np.ndarray:
    """Zeros, which begin where a line of the cache does: no row of lanes then lies across two."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + _LINE, np.uint8)
    first = -raw.ctypes.data % _LINE
    return raw[first : first + size].view(dtype).reshape(shape)


class Lanes(types.Type):
    """`LANES` numbers of 32 or 64 bits."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__(name=f"Lanes({bits})")


lanes32, lanes64 = Lanes(32), Lanes(64)
_SCALARS = {32: (types.float32, ir.FloatType()), 64: (types.float64, ir.DoubleType())}


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, ir.VectorType(_SCALARS[kind.bits][1], LANES))


def _vector(kind: Lanes) -> ir.Type:
    return ir.VectorType(_SCALARS[kind.bits][1], LANES)


def _address(context: Any, builder: Any, signature: Any, array: Any, row: Any) -> Any:
    """Pointer to a row of a flat array."""
    data = arrayobj.make_array(signature.args[0])(context, builder, array).data
    place = builder.mul(row, ir.Constant(row.type, LANES))
    return builder.gep(data, [place])


def _loader(kind: Lanes) -> Callable:
    scalar, element = _SCALARS[kind.bits]

    @intrinsic
    def load(typing: Any, array: Any, row: Any) -> Any:
        if not (isinstance(array, types.Array) and array.dtype == scalar and array.layout == "C"):
            return None

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            row = context.cast(builder, args[1], signature.args[1], types.intp)
            pointer = _address(context, builder, signature, args[0], row)
            pointer = builder.bitcast(pointer, _vector(kind).as_pointer())
            return builder.load(pointer, align=element.get_abi_alignment(context.target_data))

        return kind(array, row), generate

    return load


def _storer(kind: Lanes) -> Callable:
    scalar, element = _SCALARS[kind.bits]

    @intrinsic
    def store(typing: Any, array: Any, row: Any, value: Any) -> Any:
        if not (isinstance(array, types.Array) and array.dtype == scalar and value == kind):
            return None

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            row = context.cast(builder, args[1], signature.args[1], types.intp)
            pointer = _address(context, builder, signature, args[0], row)
            pointer = builder.bitcast(pointer, _vector(kind).as_pointer())
            builder.store(args[2], pointer, align=element.get_abi_alignment(context.target_data))
            return context.get_dummy_value()

        return types.void(array, row, value), generate

    return store


def _broadcaster(kind: Lanes) -> Callable:
    scalar, _ = _SCALARS[kind.bits]

    @intrinsic
    def spread(typing: Any, number: Any) -> Any:
        if not isinstance(number, types.Number):
            return None

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = context.cast(builder, args[0], signature.args[0], scalar)
            empty = ir.Constant(_vector(kind), ir.Undefined)
            first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            return builder.shuffle_vector(first, empty, zeros)

        return kind(number), generate

    return spread


load32: Any = _loader(lanes32)
load64: Any = _loader(lanes64)
store32: Any = _storer(lanes32)
store64: Any = _storer(lanes64)
spread32: Any = _broadcaster(lanes32)
spread64: Any = _broadcaster(lanes64)


def _words(bits: int) -> ir.Type:
    return ir.VectorType(ir.IntType(bits), LANES)


def _same(bits: int, number: int) -> ir.Constant:
    return ir.Constant(_words(bits), [number] * LANES)


@intrinsic
def _load16(typing: Any, array: Any, row: Any) -> Any:
    """The upper halves of numbers of 32 bits, as `store16` leaves them."""
    if not (isinstance(array, types.Array) and array.dtype == types.uint16):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row = context.cast(builder, args[1], signature.args[1], types.intp)
        pointer = _address(context, builder, signature, args[0], row)
        halves = builder.load(builder.bitcast(pointer, _words(16).as_pointer()), align=2)
        whole = builder.shl(builder.zext(halves, _words(32)), _same(32, 16))
        return builder.bitcast(whole, _vector(lanes32))

    return lanes32(array, row), generate


@intrinsic
def _store16(typing: Any, array: Any, row: Any, value: Any) -> Any:
    """The upper halves of numbers of 32 bits, rounded: 8 binary digits and the whole range."""
    if not (isinstance(array, types.Array) and array.dtype == types.uint16 and value == lanes32):
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row = context.cast(builder, args[1], signature.args[1], types.intp)
        pointer = _address(context, builder, signature, args[0], row)
        rounded = builder.add(builder.bitcast(args[2], _words(32)), _same(32, 0x8000))
        halves = builder.trunc(builder.lshr(rounded, _same(32, 16)), _words(16))
        builder.store(halves, builder.bitcast(pointer, _words(16).as_pointer()), align=2)
        return context.get_dummy_value()

    return types.void(array, row, value), generate


load16: Any = _load16
store16: Any = _store16


@intrinsic
def _narrowed(typing: Any, value: Any) -> Any:
    """64 bits to 32."""
    if value != lanes64:
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fptrunc(args[0], _vector(lanes32))

    return lanes32(value), generate


@intrinsic
def _widened(typing: Any, value: Any) -> Any:
    """32 bits to 64."""
    if value != lanes32:
        return None

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fpext(args[0], _vector(lanes64))

    return lanes64(value), generate


narrowed: Any = _narrowed
widened: Any = _widened


def _arithmetic(symbol: Callable, name: str) -> None:
    @intrinsic
    def both(typing: Any, first: Any, second: Any) -> Any:
        if not (isinstance(first, Lanes) and first == second):
            return None

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            # a product and a sum may become one instruction; nothing else may change
            return getattr(builder, name)(*args, flags=("contract",))

        return first(first, second), generate

    combined: Any = both

    def rule(first: Any, second: Any) -> Any:
        def implementation(first: Any, second: Any) -> Any:
            return combined(first, second)

        return implementation if isinstance(first, Lanes) and first == second else None

    overload(symbol)(rule)


for _symbol, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_symbol, _name)
_arithmetic(operator.iadd, "fadd")
_arithmetic(operator.isub, "fsub")
