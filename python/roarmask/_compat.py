# SPDX-License-Identifier: Apache-2.0
"""The class that a proposal to vLLM published (pull request 29296), on this engine: same names, arguments, results and errors.

Rows that were edited are kept as they are until something asks for the whole mask; then they are folded into the compressed mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._core import Builder, Mask

if TYPE_CHECKING:
    import torch

# Edited rows are folded in when they hold more cells than this, and more than a quarter of the mask's.
_MAX_EDITED_CELLS = 1 << 22


class _Row(MutableSet[int]):
    """The key blocks of one query block, as a set that writes through to its mask."""

    def __init__(self, owner: RoaringAttentionMask, query_block: int) -> None:
        self._owner = owner
        self._query_block = query_block

    def to_array(self) -> NDArray[np.int32]:
        return self._owner.get_active_blocks(self._query_block)

    def update(self, *others: Iterable[int]) -> None:
        for other in others:
            self._owner.add_attention(self._query_block, other)

    def add(self, value: int) -> None:
        self._owner.add_attention(self._query_block, [value])

    def discard(self, value: int) -> None:
        self._owner.remove_attention(self._query_block, [value])

    def __contains__(self, value: object) -> bool:
        return isinstance(value, (int, np.integer)) and self._owner.has_attention(self._query_block, int(value))

    def __iter__(self) -> Iterator[int]:
        return iter(self.to_array().tolist())

    def __len__(self) -> int:
        return self._owner._row_count(self._query_block)

    @classmethod
    def _from_iterable(cls, values: Iterable[int]) -> set[int]:  # type: ignore[override]
        return set(values)

    def __repr__(self) -> str:
        return f"{{{', '.join(map(str, self))}}}"


class _Rows(Sequence[_Row]):
    """One entry for each query block."""

    def __init__(self, owner: RoaringAttentionMask) -> None:
        self._owner = owner

    def __len__(self) -> int:
        return self._owner.num_blocks

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [_Row(self._owner, i) for i in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"query block {index} is out of range: there are {len(self)}")
        return _Row(self._owner, position)


class RoaringAttentionMask:
    """Which key blocks each query block attends to. One thread at a time.

    Attributes:
        num_blocks: query blocks, and key blocks.
        masks: one set of key blocks for each query block.
        device: where tensors go, in torch's words.
    """

    def __init__(self, num_blocks: int, device: str = "cpu") -> None:
        self.num_blocks = num_blocks
        self.device = device
        self._mask = Mask.parse("none", num_blocks)
        self._edited: dict[int, NDArray[np.int32]] = {}
        self._num_edited_cells = 0

    @property
    def masks(self) -> _Rows:
        return _Rows(self)

    @property
    def mask(self) -> Mask:
        """The mask as it is now."""
        if self._edited:
            builder = Builder(self.num_blocks)
            builder.add_mask(self._mask)
            for query_block, cols in self._edited.items():
                builder.remove_range(query_block, 0, self.num_blocks)
                builder.add(query_block, cols)
            self._mask = builder.freeze()
            self._edited.clear()
            self._num_edited_cells = 0
        return self._mask

    def _check(self, *query_blocks: int) -> None:
        for query_block in query_blocks:
            if not 0 <= query_block < self.num_blocks:
                raise ValueError(f"query block {query_block} is out of range: there are {self.num_blocks} blocks")

    def _row(self, query_block: int) -> NDArray[np.int32]:
        edited = self._edited.get(query_block)
        return self._mask[query_block] if edited is None else edited

    def _row_count(self, query_block: int) -> int:
        edited = self._edited.get(query_block)
        return self._mask.row_count(query_block) if edited is None else len(edited)

    def _edit(self, query_block: int, cols: NDArray[np.int32]) -> None:
        before = self._edited.get(query_block)
        self._num_edited_cells += len(cols) - (0 if before is None else len(before))
        self._edited[query_block] = cols
        if self._num_edited_cells > max(_MAX_EDITED_CELLS, self._mask.nnz // 4):
            _ = self.mask

    def _valid(self, key_blocks: Iterable[int]) -> NDArray[np.int32]:
        keys = np.asarray(key_blocks if isinstance(key_blocks, (np.ndarray, list, tuple, range)) else list(key_blocks))
        if keys.size == 0:
            return np.empty(0, np.int32)
        return np.unique(keys[(keys >= 0) & (keys < self.num_blocks)]).astype(np.int32)

    def add_attention(self, query_block: int, key_blocks: Iterable[int]) -> None:
        """Adds key blocks; those out of range are dropped. ValueError for a query block out of range."""
        self._check(query_block)
        keys = self._valid(key_blocks)
        if keys.size:
            self._edit(query_block, np.union1d(self._row(query_block), keys).astype(np.int32, copy=False))

    def remove_attention(self, query_block: int, key_blocks: Iterable[int]) -> None:
        """Removes key blocks, as far as they are there."""
        self._check(query_block)
        self._edit(query_block, np.setdiff1d(self._row(query_block), self._valid(key_blocks), assume_unique=True))

    def get_active_blocks(self, query_block: int) -> NDArray[np.int32]:
        """The key blocks of a query block, ascending. int32."""
        self._check(query_block)
        edited = self._edited.get(query_block)
        return self._mask[query_block] if edited is None else edited.copy()

    def get_active_blocks_tensor(self, query_block: int) -> torch.Tensor:
        """The same as an int32 tensor on the device."""
        import torch

        return torch.from_numpy(self.get_active_blocks(query_block)).to(self.device)

    def intersection(self, block1: int, block2: int) -> NDArray[np.int32]:
        """The key blocks of both. int32, ascending."""
        self._check(block1, block2)
        if not self._edited:
            return self._mask.intersection(block1, block2)
        return np.intersect1d(self._row(block1), self._row(block2), assume_unique=True)

    def union(self, block1: int, block2: int) -> NDArray[np.int32]:
        """The key blocks of either. int32, ascending."""
        self._check(block1, block2)
        if not self._edited:
            return self._mask.union(block1, block2)
        return np.union1d(self._row(block1), self._row(block2))

    def batch_intersection(self, blocks: Sequence[int]) -> NDArray[np.int32]:
        """The key blocks of all; none where `blocks` is empty. Later blocks past the last one do not count."""
        if len(blocks) == 0:
            return np.empty(0, np.int32)
        self._check(blocks[0])
        rest = [block for block in blocks[1:] if block < self.num_blocks]
        self._check(*rest)
        result = self._row(blocks[0])
        for block in rest:
            result = np.intersect1d(result, self._row(block), assume_unique=True)
        return result.copy()

    def has_attention(self, query_block: int, key_block: int) -> bool:
        """Whether a query block attends to a key block; False out of range."""
        if not (0 <= query_block < self.num_blocks and 0 <= key_block < self.num_blocks):
            return False
        edited = self._edited.get(query_block)
        if edited is None:
            return (query_block, key_block) in self._mask
        at = int(np.searchsorted(edited, key_block))
        return at < len(edited) and int(edited[at]) == key_block

    def get_density(self) -> float:
        """Cells over num_blocks squared, from 0 to 1."""
        count = self._mask.nnz + sum(len(cols) - self._mask.row_count(row) for row, cols in self._edited.items())
        return count / self.num_blocks**2 if self.num_blocks else 0.0

    def get_memory_usage_bytes(self) -> int:
        """The bytes held now: of the compressed mask, and of the rows edited since it was last asked for as a whole."""
        return self._mask.nbytes + sum(cols.nbytes for cols in self._edited.values())

    def to_dense_mask(self, dtype: torch.dtype | None = None) -> torch.Tensor:
        """A tensor [num_blocks, num_blocks] on the device, of bool unless `dtype` says otherwise."""
        import torch

        return torch.from_numpy(self.mask.to_dense()).to(device=self.device, dtype=dtype or torch.bool)

    def apply_sliding_window(self, window_size: int, global_tokens: int | None = None) -> None:
        """Adds, for query block q, the blocks from q - window_size // 2 to q + window_size // 2, both included, and all cells of the
        first `global_tokens` rows and columns."""
        half = window_size // 2
        pattern = f"window({half}, {half})"
        if global_tokens:
            pattern += f" | global({min(global_tokens, self.num_blocks)})"
        self._mask = self.mask | Mask.parse(pattern, self.num_blocks)

    def serialize(self) -> bytes:
        """The mask as bytes: what a mask file holds."""
        return self.mask.tobytes()

    @classmethod
    def deserialize(cls, data: bytes, device: str = "cpu") -> RoaringAttentionMask:
        """From the bytes of serialize(), checked. FormatError, a ValueError, where they are not a mask's."""
        mask = Mask.frombytes(data)
        if mask.rows != mask.cols:
            raise ValueError(f"the mask is {mask.rows} x {mask.cols}: it must be square")
        made = cls(mask.rows, device)
        made._mask = mask
        return made


def create_sliding_window_mask(num_blocks: int, window_size: int, global_tokens: int = 0, device: str = "cpu") -> RoaringAttentionMask:
    """A mask with apply_sliding_window(window_size, global_tokens)."""
    mask = RoaringAttentionMask(num_blocks, device)
    mask.apply_sliding_window(window_size, global_tokens)
    return mask
