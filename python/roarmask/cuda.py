# SPDX-License-Identifier: Apache-2.0
"""Masks on NVIDIA GPUs: a mask's bytes to megabytes are uploaded, and kernels' tensors are written where they are used.

Needs PyTorch with CUDA, and libroarmask-cuda: in the package where it was built with it, else the system's, else the file that the
environment variable ROARMASK_CUDA_LIBRARY names. Both are loaded by the first call and not before.

Everything is put on torch's current stream. Nothing waits for the device, and no number comes back from it, but that `flex_block_mask` and
`fa4_block_sparse` ask how much memory their result takes. Results are torch tensors; with `out` they go into tensors that you own: of the
right dtype and shape, contiguous, on the mask's device.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import __version__
from ._core import Atlas, Mask
from ._errors import FormatError
from .export._flex import look_up
from .export._shared import MaskLike, block_pair, bytes_of_tile, masks_per_head, tile_sides

if TYPE_CHECKING:
    import torch
    from torch.nn.attention.flex_attention import BlockMask

__all__ = [
    "CudaMask",
    "Fold",
    "MaskTable",
    "bits",
    "bsr",
    "csr",
    "decode_pages",
    "dense_bool",
    "fa4_block_sparse",
    "flex_block_mask",
    "num_devices",
    "packed_mask",
    "padded",
    "tile_bits",
    "upload",
]

_MAX_FOLD = 16
_OR = 14
_TILES = {"any": 0, "full": 1, "partial": 2}
Tiles = Literal["any", "full", "partial"]


# ---------------------------------------------------------------- the library


class _Handle(ctypes.Structure):
    """rmask_cuda_mask"""

    _fields_ = (
        ("rows", ctypes.c_int32),
        ("cols", ctypes.c_int32),
        ("count", ctypes.c_uint64),
        ("sections", ctypes.c_void_p * 6),
        ("numbers", ctypes.c_uint32 * 4),
    )


class _FoldStruct(ctypes.Structure):
    """rmask_cuda_fold"""

    _fields_ = (
        ("masks", ctypes.POINTER(_Handle)),
        ("num_masks", ctypes.c_int32),
        ("function", ctypes.c_int),
        ("tile_rows", ctypes.c_int32),
        ("tile_cols", ctypes.c_int32),
        ("tiles", ctypes.c_int),
    )


class _Requests(ctypes.Structure):
    """rmask_cuda_requests"""

    _fields_ = (
        ("masks", ctypes.c_void_p),
        ("num_masks", ctypes.c_int32),
        ("num_requests", ctypes.c_int32),
        ("num_groups", ctypes.c_int32),
        ("heads_per_group", ctypes.c_int32),
        ("which", ctypes.c_void_p),
        ("which_stride", ctypes.c_uint64),
        ("rows", ctypes.c_void_p),
        ("seq_lens", ctypes.c_void_p),
        ("block_table", ctypes.c_void_p),
        ("table_stride", ctypes.c_uint64),
        ("page_tokens", ctypes.c_int32),
        ("out_table", ctypes.c_void_p),
        ("out_stride", ctypes.c_uint64),
        ("out_counts", ctypes.c_void_p),
        ("out_lens", ctypes.c_void_p),
    )


class _Error(ctypes.Structure):
    """rmask_error"""

    _fields_ = (("message", ctypes.c_char * 256), ("position", ctypes.c_size_t))


_EXCEPTIONS: dict[int, type[Exception]] = {1: MemoryError, 3: IndexError, 5: FormatError, 6: RuntimeError, 8: OverflowError}

_POINTER, _INT, _SIZE = ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint64
_ARGUMENTS: dict[str, list[Any]] = {
    "upload": [_POINTER, _POINTER, _SIZE, _POINTER, ctypes.POINTER(_Handle)],
    "upload_atlas": [_POINTER, _POINTER, _SIZE, _POINTER, ctypes.POINTER(_Handle)],
    "csr_workspace": [_INT, ctypes.POINTER(ctypes.c_size_t)],
    "csr": [_FoldStruct, _INT, _INT, _POINTER, _POINTER, _SIZE, _POINTER, _SIZE, _POINTER],
    "bsr": [_FoldStruct, _INT, _INT, _POINTER, _POINTER, _SIZE, _POINTER, _SIZE, _POINTER],
    "padded": [_FoldStruct, _INT, _INT, _POINTER, _POINTER, _SIZE, _POINTER],
    "to_bytes": [_FoldStruct, _INT, _INT, _INT, _INT, _POINTER, _SIZE, _POINTER],
    "to_bits": [_FoldStruct, _INT, _INT, _INT, _INT, _POINTER, _SIZE, _POINTER],
    "tile_bits": [_FoldStruct, _INT, _INT, _POINTER, _POINTER, _SIZE, _POINTER, _SIZE, _POINTER],
    "packed_mask": [_FoldStruct, _INT, _INT, _POINTER, _POINTER, _SIZE, _POINTER, _POINTER, _SIZE, _POINTER, _SIZE, _POINTER],
    "pages": [ctypes.POINTER(_Requests), _POINTER],
}


@functools.cache
def _library() -> ctypes.CDLL:
    named = os.environ.get("ROARMASK_CUDA_LIBRARY")
    own = Path(__file__).with_name("libroarmask-cuda.so")
    path = named or (str(own) if own.exists() else f"libroarmask-cuda.so.{__version__.split('.')[0]}")
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(
            f"roarmask.cuda needs libroarmask-cuda, and there is none: {error}. Install the package with it, where nvcc is: "
            "pip install . -C cmake.define.ROARMASK_BUILD_CUDA=ON; or name the file in ROARMASK_CUDA_LIBRARY"
        ) from None
    library.rmask_cuda_version.restype = ctypes.c_char_p
    version = library.rmask_cuda_version().decode()
    if version != __version__:
        raise ImportError(f"{path} is of version {version}, and roarmask of version {__version__}: they must be the same")
    for name, arguments in _ARGUMENTS.items():
        function = getattr(library, f"rmask_cuda_{name}")
        function.restype, function.argtypes = ctypes.c_int, [*arguments, ctypes.POINTER(_Error)]
    return library


def _call(name: str, *arguments: Any) -> None:
    error = _Error()
    status = getattr(_library(), f"rmask_cuda_{name}")(*arguments, ctypes.byref(error))
    if status:
        raise _EXCEPTIONS.get(status, ValueError)(error.message.decode(errors="replace"))


def num_devices() -> int:
    """The GPUs that CUDA shows; 0 without a driver."""
    return int(_library().rmask_cuda_num_devices())


# ---------------------------------------------------------------- masks


def _device(device: Any) -> torch.device:
    import torch

    wanted = torch.device("cuda" if device is None else device)
    if wanted.type == "cuda":
        if not torch.cuda.is_available():
            raise RuntimeError("there is no CUDA device, or this PyTorch is built without CUDA: torch.cuda.is_available() is False")
        return torch.device("cuda", torch.cuda.current_device()) if wanted.index is None else wanted
    if wanted.type == "cpu" and hasattr(_library(), "rmask_cuda_runs_on_the_host"):  # the tests' stand-in for a device
        return wanted
    raise ValueError(f"a mask is uploaded to a CUDA device, not to {wanted}")


class CudaMask:
    """A mask in a GPU's memory, made by `Mask.cuda()`. It holds the memory; the mask itself is kept too."""

    def __init__(self, mask: Mask, device: Any = None) -> None:
        import torch

        self.mask = mask
        self.device = _device(device)
        self._memory = torch.empty(mask.nbytes, dtype=torch.uint8, device=self.device)
        self._handle = _Handle()
        with _on(self.device) as stream:
            _call("upload", mask._address, self._memory.data_ptr(), mask.nbytes, stream, ctypes.byref(self._handle))

    @property
    def shape(self) -> tuple[int, int]:
        return self.mask.shape

    @property
    def nnz(self) -> int:
        return self.mask.nnz

    def tiles(self, sides: tuple[int, int], which: Tiles = "any") -> Fold:
        """The mask's tiles of so many cells: those with any cell, the "full", or the "partial" ones. Made as they are expanded."""
        return Fold([self]).tiles(sides, which)

    def __repr__(self) -> str:
        return f"<roarmask.cuda.CudaMask {self.shape[0]} x {self.shape[1]} on {self.device}>"


def upload(mask: Mask, device: Any = None) -> CudaMask:
    """`mask` on a CUDA device, the current one unless given: one asynchronous copy on torch's current stream."""
    return CudaMask(mask, device)


class Fold:
    """A boolean function of masks on one device, worked out while it is expanded: masks[0], then function(so far, masks[i]).

    Takes 1 to 16 masks of one grid; `function` is a truth table as in `Mask.combine`, and or (14) unless given: the union over heads.
    """

    def __init__(self, masks: Sequence[CudaMask], function: int = _OR) -> None:
        if not 1 <= len(masks) <= _MAX_FOLD:
            raise ValueError(f"a fold of {len(masks)} masks: there are 1 to {_MAX_FOLD}")
        if len({m.device for m in masks}) > 1:
            raise ValueError("the masks of a fold are on one device")
        self.masks, self.function = tuple(masks), int(function)
        self.device, self.shape = masks[0].device, masks[0].shape
        self._sides, self._which = (0, 0), 0

    def tiles(self, sides: tuple[int, int], which: Tiles = "any") -> Fold:
        """The same in tiles of so many cells: those with any cell of the fold, the "full", or the "partial" ones."""
        rows, cols = int(sides[0]), int(sides[1])
        if rows < 1 or cols < 1:
            raise ValueError(f"a tile has at least one cell each way, not {rows} x {cols}")
        if which not in _TILES:
            raise ValueError(f"tiles are any, full or partial, not {which!r}")
        fold = Fold(self.masks, self.function)
        fold._sides, fold._which = (rows, cols), _TILES[which]
        fold.shape = (-(-self.masks[0].shape[0] // rows), -(-self.masks[0].shape[1] // cols))
        return fold


@contextlib.contextmanager
def _on(device: torch.device) -> Iterator[int]:
    """Makes a device the current one, and gives its current stream."""
    if device.type != "cuda":
        yield 0
        return
    import torch

    with torch.cuda.device(device):
        yield int(torch.cuda.current_stream(device).cuda_stream)


def _struct(what: CudaMask | Fold) -> _FoldStruct:
    fold = what if isinstance(what, Fold) else Fold([what])
    handles = (_Handle * len(fold.masks))(*[m._handle for m in fold.masks])
    return _FoldStruct(handles, len(fold.masks), fold.function, *fold._sides, fold._which)


def _span(given: tuple[int, int] | None, side: int) -> tuple[int, int]:
    return (0, side) if given is None else (int(given[0]), int(given[1]))


def _tensor(given: Any, name: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """The caller's tensor (or whatever speaks DLPack), checked; or a new one."""
    import torch

    if given is None:
        return torch.empty(shape, dtype=dtype, device=device)
    tensor = given if isinstance(given, torch.Tensor) else torch.utils.dlpack.from_dlpack(given)
    if tensor.dtype != dtype or tuple(tensor.shape) != shape or tensor.device != device or not tensor.is_contiguous():
        found = f"{tensor.dtype} {list(tensor.shape)} on {tensor.device}" + ("" if tensor.is_contiguous() else ", not contiguous")
        raise ValueError(f"{name} must be {dtype} {list(shape)} on {device}, contiguous, not {found}")
    return tensor


# ---------------------------------------------------------------- expansions


def _compressed(name: str, what: CudaMask | Fold, rows: Any, capacity: int | None, out: Any) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    begin, end = _span(rows, what.shape[0])
    if capacity is None:
        if out is not None:
            capacity = int(out[1].shape[0])
        elif isinstance(what, CudaMask) and (begin, end) == (0, what.shape[0]):
            capacity = what.nnz
        else:
            raise ValueError("only the device knows how many cells these are: give a capacity, or out")
    num = max(end - begin, 0)
    with _on(what.device) as stream:
        indptr = _tensor(out and out[0], "indptr", (num + 1,), torch.int64 if name == "csr" else torch.int32, what.device)
        indices = _tensor(out and out[1], "indices", (capacity,), torch.int32, what.device)
        workspace = _workspace(num, what.device)
        arguments = (indptr.data_ptr(), indices.data_ptr(), capacity, workspace.data_ptr(), workspace.shape[0], stream)
        _call(name, _struct(what), begin, end, *arguments)
    return indptr, indices


def _workspace(num_rows: int, device: torch.device) -> torch.Tensor:
    """Torch's allocator gives its memory to later work of the same stream only, so it may go before the work is done."""
    import torch

    size = ctypes.c_size_t()
    _call("csr_workspace", num_rows, ctypes.byref(size))
    return torch.empty(size.value, dtype=torch.uint8, device=device)


def csr(what: CudaMask | Fold, rows: tuple[int, int] | None = None, *, capacity: int | None = None, out: Any = None) -> Any:
    """(indptr int64 [rows + 1], indices int32 [capacity]): compressed rows of all rows or of a range.

    `capacity` is nnz for all rows of one mask. What does not fit is left away, and indptr's last entry says how much was needed.
    """
    return _compressed("csr", what, rows, capacity, out)


def bsr(what: CudaMask | Fold, rows: tuple[int, int] | None = None, *, capacity: int | None = None, out: Any = None) -> Any:
    """As `csr`, with int32 indptr: FlashInfer's block-sparse rows. OverflowError where they might not hold the starts."""
    return _compressed("bsr", what, rows, capacity, out)


def padded(what: CudaMask | Fold, rows: tuple[int, int] | None = None, *, width: int | None = None, out: Any = None) -> Any:
    """(counts int32 [rows], indices int32 [rows, width]): FlexAttention's kv_num_blocks and kv_indices, and with the longest row as width
    FlashAttention-4's. Width is the number of columns unless given; new indices are 0 past a row's columns, given ones stay as they are."""
    import torch

    begin, end = _span(rows, what.shape[0])
    num = max(end - begin, 0)
    if width is None:
        width = what.shape[1] if out is None else int(out[1].shape[-1])
    with _on(what.device) as stream:
        counts = _tensor(out and out[0], "counts", (num,), torch.int32, what.device)
        indices = torch.zeros((num, width), dtype=torch.int32, device=what.device) if out is None else out[1]
        indices = _tensor(indices, "indices", (num, width), torch.int32, what.device)
        _call("padded", _struct(what), begin, end, counts.data_ptr(), indices.data_ptr(), width, stream)
    return counts, indices


def _window(name: str, what: CudaMask | Fold, rows: Any, cols: Any, out: Any) -> torch.Tensor:
    import torch

    (row_begin, row_end), (col_begin, col_end) = _span(rows, what.shape[0]), _span(cols, what.shape[1])
    num_cols = max(col_end - col_begin, 0)
    shape = (max(row_end - row_begin, 0), num_cols if name == "to_bytes" else (num_cols + 7) // 8)
    with _on(what.device) as stream:
        cells = _tensor(out, "out", shape, torch.bool if name == "to_bytes" else torch.uint8, what.device)
        _call(name, _struct(what), row_begin, row_end, col_begin, col_end, cells.data_ptr(), shape[1], stream)
    return cells


def dense_bool(what: CudaMask | Fold, rows: tuple[int, int] | None = None, cols: tuple[int, int] | None = None, *, out: Any = None) -> Any:
    """bool [rows, cols] of the grid or of a window, which may hang over it."""
    return _window("to_bytes", what, rows, cols, out)


def bits(what: CudaMask | Fold, rows: tuple[int, int] | None = None, cols: tuple[int, int] | None = None, *, out: Any = None) -> Any:
    """uint8 [rows, ceil(cols / 8)] in little-endian bit order."""
    return _window("to_bits", what, rows, cols, out)


def _listed(what: Fold, rows: Any, indptr: torch.Tensor, indices: torch.Tensor) -> tuple[int, int]:
    """The range of rows, for which lists of tiles are checked."""
    import torch

    begin, end = _span(rows, what.shape[0])
    _tensor(indptr, "indptr", (max(end - begin, 0) + 1,), torch.int32, what.device)
    _tensor(indices, "indices", (indices.shape[0],), torch.int32, what.device)
    return begin, end


def tile_bits(what: Fold, indptr: torch.Tensor, indices: torch.Tensor, rows: tuple[int, int] | None = None, *, out: Any = None) -> Any:
    """uint8 [tiles, ceil(tile cells / 8)]: the cells inside of tiles, which are given as `bsr` gives them for the same tiles and rows."""
    import torch

    begin, end = _listed(what, rows, indptr, indices)
    num, num_bytes = indices.shape[0], bytes_of_tile(what._sides)
    with _on(what.device) as stream:
        cells = _tensor(out, "out", (num, num_bytes), torch.uint8, what.device)
        arguments = (indptr.data_ptr(), indices.data_ptr(), num, cells.data_ptr(), num * num_bytes, stream)
        _call("tile_bits", _struct(what), begin, end, *arguments)
    return cells


def packed_mask(what: Fold, indptr: torch.Tensor, indices: torch.Tensor, rows: tuple[int, int] | None = None, *, out: Any = None) -> Any:
    """(starts int32 [rows + 1], uint8 [bytes]): the same cells as FlashInfer packs them, mask_indptr and packed_mask of
    `roarmask.export.flashinfer_bsr`. The last start says how many bytes there are; new ones have room for the tiles one by one."""
    import torch

    begin, end = _listed(what, rows, indptr, indices)
    num = indices.shape[0]
    room = num * bytes_of_tile(what._sides) if out is None else int(out[1].shape[0])
    with _on(what.device) as stream:
        starts = _tensor(out and out[0], "starts", tuple(indptr.shape), torch.int32, what.device)
        cells = _tensor(out and out[1], "bits", (room,), torch.uint8, what.device)
        workspace = _workspace(indptr.shape[0] - 1, what.device)
        outputs = (starts.data_ptr(), cells.data_ptr(), room, workspace.data_ptr(), workspace.shape[0], stream)
        _call("packed_mask", _struct(what), begin, end, indptr.data_ptr(), indices.data_ptr(), num, *outputs)
    return starts, cells


# ---------------------------------------------------------------- decoding


class MaskTable:
    """The masks that requests choose from by their index, as `decode_pages` wants them: on the device."""

    def __init__(self, masks: Sequence[CudaMask]) -> None:
        if not masks:
            raise ValueError("a table has at least one mask")
        if any(m.device != masks[0].device for m in masks):
            raise ValueError("the masks of a table are on one device")
        handles = (_Handle * len(masks))(*[m._handle for m in masks])
        self._put(handles, masks[0].device, tuple(masks))

    def _put(self, handles: Any, device: torch.device, kept: Any) -> None:
        import torch

        self.device, self.num_masks, self._kept = device, len(handles), kept
        self._memory = torch.frombuffer(bytearray(handles) or bytearray(1), dtype=torch.uint8).to(device)

    @classmethod
    def of_atlas(cls, atlas: Atlas, device: Any = None) -> tuple[MaskTable, torch.Tensor]:
        """The table of an atlas's masks, uploaded by one copy, and `which` int32 [layers, heads] on the device: -1 for a dense entry."""
        import torch

        where, num = _device(device), len(atlas.masks)
        memory = torch.empty(atlas.nbytes, dtype=torch.uint8, device=where)
        handles = (_Handle * num)()
        with _on(where) as stream:
            _call("upload_atlas", atlas._address, memory.data_ptr(), atlas.nbytes, stream, handles)
            table = cls.__new__(cls)
            table._put(handles, where, (atlas, memory))
            which = torch.tensor(atlas._table, dtype=torch.int32).reshape(atlas.layers, atlas.heads).to(where)
        return table, which


def decode_pages(
    table: MaskTable,
    which: torch.Tensor,
    block_table: torch.Tensor,
    seq_lens: torch.Tensor,
    page_size: int,
    *,
    rows: torch.Tensor | None = None,
    out: Any = None,
) -> Any:
    """The decode step over a paged cache, in one launch that a CUDA graph can capture (with `out`).

    Args:
        which: int32 [requests], the request's mask in `table`; negative: dense, all pages. Or [requests, groups, heads], for KV heads that
            have pages of their own: a group keeps the union of what its heads keep. Or [1, groups, heads]: all requests alike, such as
            `which[layer].view(1, groups, -1)` of an atlas.
        block_table: int32 [requests, max_blocks], logical to physical.
        seq_lens: int32 [requests], the newest token included; 0 for an empty slot.
        rows: int32 [requests], the query's row; that of its newest token's page unless given.
        out: an earlier result.

    Returns:
        (block_table int32 [requests, max_blocks], counts int32 [requests], seq_lens int32 [requests]): the pages to read, how many, and the
        tokens on them; with groups each [requests, groups, ...]. A count of -1 marks a request that makes no sense.
    """
    import torch

    num = seq_lens.shape[0]
    device = table.device
    for name, tensor in (("seq_lens", seq_lens), *([] if rows is None else [("rows", rows)])):
        _tensor(tensor, name, (num,), torch.int32, device)
    groups, heads = 1, 1
    shape: tuple[int, ...] = (num,)
    of_which: tuple[int, ...] = (num,)
    if which.dim() == 3:
        groups, heads = int(which.shape[1]), int(which.shape[2])
        of_which, shape = (num if which.shape[0] != 1 else 1, groups, heads), (num, groups)
    _tensor(which, "which", of_which, torch.int32, device)
    width = block_table.shape[-1]
    _tensor(block_table, "block_table", (num, width), torch.int32, device)
    with _on(device) as stream:
        pages = _tensor(out and out[0], "out[0]", (*shape, width), torch.int32, device)
        counts = _tensor(out and out[1], "out[1]", shape, torch.int32, device)
        lens = _tensor(out and out[2], "out[2]", shape, torch.int32, device)
        requests = _Requests(
            masks=table._memory.data_ptr(),
            num_masks=table.num_masks,
            num_requests=num,
            num_groups=groups,
            heads_per_group=heads,
            which=which.data_ptr(),
            which_stride=groups * heads if of_which[0] == num else 0,
            rows=None if rows is None else rows.data_ptr(),
            seq_lens=seq_lens.data_ptr(),
            block_table=block_table.data_ptr(),
            table_stride=width,
            page_tokens=page_size,
            out_table=pages.data_ptr(),
            out_stride=width,
            out_counts=counts.data_ptr(),
            out_lens=lens.data_ptr(),
        )
        _call("pages", ctypes.byref(requests), stream)
    return pages, counts, lens


# ---------------------------------------------------------------- kernels' own


def flex_block_mask(mask: MaskLike, block_size: int | tuple[int, int] = 128, *, unit: int = 1, device: Any = None) -> BlockMask:
    """`roarmask.export.flex_block_mask`, made on the device out of uploaded masks. Arguments as there.

    How many tiles are partial, for whose cells memory is needed, is read back from the device.
    """
    import torch
    from torch.nn.attention.flex_attention import BlockMask

    where = _device(device)
    masks = masks_per_head(mask, unit)
    block = block_pair(block_size)
    sides = tile_sides(block, unit)
    batch, heads = len(masks), len(masks[0])
    flat = [m for entry in masks for m in entry]
    distinct = list({id(m): m for m in flat}.values())
    place = {id(m): i for i, m in enumerate(distinct)}
    numbers = [place[id(m)] for m in flat]
    there = [upload(m, where) for m in distinct]
    rows, cols = there[0].tiles(sides).shape
    if rows == 0 or cols == 0:
        raise ValueError(f"a mask of {flat[0].rows} x {flat[0].cols} has no tiles")
    tensors = {}
    totals = []
    which: Tiles
    for name, which in (("kv", "partial"), ("full_kv", "full")):
        counts = tensors[f"{name}_num_blocks"] = torch.empty((batch, heads, rows), dtype=torch.int32, device=where)
        indices = tensors[f"{name}_indices"] = torch.zeros((batch, heads, rows, cols), dtype=torch.int32, device=where)
        for k, count, index in zip(numbers, counts.view(-1, rows), indices.view(-1, rows, cols), strict=True):
            padded(there[k].tiles(sides, which), out=(count, index))
        first = [numbers.index(k) for k in range(len(distinct))]
        totals.append(counts.view(-1, rows)[first].sum(1, dtype=torch.int64))
    partial, full = torch.stack(totals).tolist()
    mask_mod = None
    if any(partial) or any(num != rows * cols for num in full):
        slots, cells = _tile_table(there, sides, partial, where)
        mask_mod = look_up(slots, cells, torch.tensor(numbers, device=where), (batch, heads), block, unit)
    lengths = (flat[0].rows * unit, flat[0].cols * unit)
    return BlockMask.from_kv_blocks(**tensors, BLOCK_SIZE=block, mask_mod=mask_mod, seq_lengths=lengths, compute_q_blocks=False)


def _tile_table(
    masks: list[CudaMask], sides: tuple[int, int], num_partial: list[int], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """What export._flex._tile_table makes, written on the device."""
    import torch

    rows, cols = masks[0].tiles(sides).shape
    slots = torch.empty((len(masks), rows, cols), dtype=torch.int32, device=device)
    cells = torch.empty((2 + sum(num_partial), bytes_of_tile(sides)), dtype=torch.uint8, device=device)
    cells[0], cells[1] = 0, 0xFF
    first, row_numbers = 2, torch.arange(rows, device=device)
    for mask, num, own in zip(masks, num_partial, slots, strict=True):
        own.copy_(dense_bool(mask.tiles(sides, "full")))
        partial = mask.tiles(sides, "partial")
        indptr, indices = bsr(partial, capacity=num)
        of_tile = torch.repeat_interleave(row_numbers, torch.diff(indptr).to(torch.int64), output_size=num)
        own[of_tile, indices.to(torch.int64)] = torch.arange(first, first + num, dtype=torch.int32, device=device)
        tile_bits(partial, indptr, indices, out=cells[first : first + num])
        first += num
    return slots, cells


def fa4_block_sparse(
    mask: Mask, block_size: int | tuple[int, int] = (256, 128), *, unit: int = 1, width: int | None = None, device: Any = None
) -> Any:
    """`roarmask.export.fa4_block_sparse` of one mask as tensors on the device: counts int32 [1, 1, M], indices int32 [1, 1, M, K].

    K is `width`, which longer rows do not fit into (their counts say so); without it the longest row, which is read back from the
    device."""
    from .export import BlockSparseTensors

    block = block_pair(block_size)
    there = upload(mask, device)
    made = {}
    which: Tiles
    for name, which in (("full", "full"), ("mask", "partial")):
        tiles = there.tiles(tile_sides(block, unit), which)
        longest = int(padded(tiles, width=0)[0].max()) if width is None and tiles.shape[0] else width or 0
        counts, indices = padded(tiles, width=longest)
        made[f"{name}_block_cnt"], made[f"{name}_block_idx"] = counts[None, None], indices[None, None]
    return BlockSparseTensors(**made, block_size=block)
