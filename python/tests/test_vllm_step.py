# SPDX-License-Identifier: Apache-2.0
"""The shorter block tables of a step, against the definition, token by token; and the counters. Without vLLM."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from roarmask import Mask
from roarmask.vllm import stats as roarmask_stats
from roarmask.vllm.step import cut, in_cache_blocks, select

BLOCK_SIZE = 4
# (tokens of the step, tokens in all) of each request: decode, prefill from nothing, chunks that begin and end anywhere, nothing.
REQUESTS = [(1, 1), (1, 17), (1, 16), (9, 9), (3, 14), (0, 5), (4, 8), (11, 30), (2, 33)]


def visible(mask: Mask, block: int, position: int) -> set[int]:
    return {key for key in range(position + 1) if (position // block, key // block) in mask}


@pytest.mark.parametrize("block", [4, 8, 12])
@pytest.mark.parametrize("expression", ["none", "full", "sink(1) | window(2)", "random(0.4, seed=3)", "strided(3)", "columns(1, 4)"])
def test_every_query_reads_what_its_mask_says(expression: str, block: int) -> None:
    num_blocks = 10
    side = -(-num_blocks * BLOCK_SIZE // block)
    mask = (Mask.parse(expression, side) & Mask.parse("causal", side)) | Mask.parse("diagonals(0)", side)
    fine = in_cache_blocks(mask, block, BLOCK_SIZE, num_blocks)
    assert fine.is_exact
    assert fine.mask.rows == num_blocks
    counts, lengths = np.array(REQUESTS, np.int32).T
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    blocks = np.random.default_rng(5).permutation(len(REQUESTS) * num_blocks).reshape(len(REQUESTS), num_blocks).astype(np.int32)
    pieces = cut(starts, lengths, BLOCK_SIZE)
    table = select(pieces, fine.mask, blocks, BLOCK_SIZE)
    where = {int(physical): (request, i) for request in range(len(REQUESTS)) for i, physical in enumerate(blocks[request])}
    query = 0
    for piece in range(len(pieces.request)):
        request = int(pieces.request[piece])
        length = int(table.seq_lens[piece])
        used = -(-length // BLOCK_SIZE)
        assert used == fine.row_counts[pieces.row[piece]]
        keys = []
        for physical in table.block_table[piece, :used]:
            owner, logical = where[int(physical)]
            assert owner == request
            keys.extend(range(logical * BLOCK_SIZE, (logical + 1) * BLOCK_SIZE))
        keys = keys[:length]
        num_queries = int(pieces.query_start[piece + 1] - pieces.query_start[piece])
        assert num_queries > 0
        for i in range(num_queries):
            # As a causal kernel reads a request: query i of the last ones sees the keys up to its own place.
            seen = keys[: length - num_queries + i + 1]
            position = seen[-1]
            assert starts[request] + position - (lengths[request] - counts[request]) == query
            assert set(seen) == visible(mask, block, position)
            query += 1
    assert query == starts[-1]


@pytest.mark.parametrize("block", [1, 2, 3, 6, 16])
def test_cells_of_other_sizes(block: int) -> None:
    side, num_blocks = -(-40 // block), 10
    mask = Mask.parse("causal & random(0.15, seed=2) | diagonals(0)", side)
    cells = in_cache_blocks(mask, block, BLOCK_SIZE, num_blocks)
    assert cells.is_exact == (block == 16)
    seen = {(token // BLOCK_SIZE, key // BLOCK_SIZE) for token in range(40) for key in visible(mask, block, token)}
    assert seen == set(zip(*(axis.tolist() for axis in cells.mask.to_coo()), strict=True))
    assert cells.row_counts.tolist() == [sum(row == of for row, _ in seen) for of in range(num_blocks)]


def test_counters_reach_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(roarmask_stats.PATH_VARIABLE, raising=False)
    stats = roarmask_stats.Stats.create(2, 3)
    monkeypatch.setenv(roarmask_stats.PATH_VARIABLE, os.environ[roarmask_stats.PATH_VARIABLE])
    program = (
        "from roarmask.vllm.stats import Stats; worker = Stats.open(2, 3).worker(1);"
        "worker.add(2, kv_blocks_read=5, kv_blocks_held=9); worker.add(2, kv_blocks_read=1); worker.set(2, density=0.5)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert stats.worker(1).total("kv_blocks_read") == 6
    # A file's first workers are a file, too.
    roarmask_stats.Stats.open(1, 3).worker(0).add(1, kv_blocks_held=4)
    assert stats.worker(0).total("kv_blocks_held") == 4
    assert stats.worker(0).total("kv_blocks_read") == 0
    stats.worker(0).add(2, kv_blocks_read=2)
    client = pytest.importorskip("prometheus_client")
    registry = client.CollectorRegistry()
    registry.register(stats)
    text = client.generate_latest(registry).decode()
    assert 'roarmask:kv_blocks_read_total{layer="2"} 8.0' in text
    # The other worker does not have the layer, as with pipeline parallelism, and nobody has layer 1.
    assert 'roarmask:density{layer="2"} 0.5' in text
    assert 'roarmask:density{layer="1"} 0.0' in text
    stats.worker(0).set(2, density=1)
    assert 'roarmask:density{layer="2"} 0.75' in client.generate_latest(registry).decode()


def test_counters_without_a_file_are_private(monkeypatch: Any) -> None:
    monkeypatch.delenv(roarmask_stats.PATH_VARIABLE, raising=False)
    worker = roarmask_stats.Stats.open(1, 1).worker(0)
    worker.add(0, kv_blocks_held=3)
    assert worker.total("kv_blocks_held") == 3
    monkeypatch.setenv(roarmask_stats.PATH_VARIABLE, "/nonexistent")
    assert roarmask_stats.Stats.open(1, 1).worker(0).total("kv_blocks_held") == 0
