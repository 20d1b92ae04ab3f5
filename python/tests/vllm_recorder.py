# SPDX-License-Identifier: Apache-2.0
"""In the engine's worker (--worker-extension-cls): which masks policies chose, and whether their definitions agree.

Every choice is checked here, against loops-free but plain NumPy in float64 over the keys themselves, and written down with the request
that it was made for: a line of pickles in the file that ROARMASK_TEST_RECORD names.
"""

import os
import pickle
from typing import Any

import numpy as np
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

from roarmask import Mask
from roarmask.policies import quest, topk_blocks, topp_blocks
from roarmask.vllm.cpu import ChoosingCPUImpl

_runner: Any = None
_execute, _choose = GPUModelRunner.execute_model, ChoosingCPUImpl.masks_of_step
NEAR = 1e-4  # scores this near to each other may be ranked either way


def _execute_and_remember(self: Any, *arguments: Any, **settings: Any) -> Any:
    global _runner
    _runner = self
    return _execute(self, *arguments, **settings)


def _scores(policy: Any, queries: Any, keys: Any, own: int) -> Any:
    """float64 [own + 1] of one row's queries."""
    blocks = [keys[at * policy.block : (at + 1) * policy.block] for at in range(own + 1)]
    if isinstance(policy, quest):
        bounds = [(block.min(axis=0), block.max(axis=0)) for block in blocks]
        return np.array([np.maximum(queries * low, queries * high).sum(axis=1).max() for low, high in bounds])
    return np.array([queries.mean(axis=0) @ block.mean(axis=0) for block in blocks]) / np.sqrt(keys.shape[1])


def _bounds(policy: Any, budget: Any, queries: Any, keys: Any, own: int) -> tuple[set[int], set[int]]:
    """What one query head's row must have, and what it may have: they differ by what is nearly equal."""
    scores = _scores(policy, queries, keys, own)
    if isinstance(policy, topp_blocks):
        scores = np.exp(scores - scores.max())
        scores /= scores.sum()
        order = np.argsort(-scores)
        count = int((np.cumsum(scores[order]) < budget - 1e-6).sum()) + 1
        level = scores[order[count - 1]]
    else:
        count = min(budget, own + 1) if isinstance(budget, int) else int(np.ceil((own + 1) * budget - 1e-9))
        level = np.sort(scores[:own])[own + 1 - count] if count > 1 else np.inf
    near = NEAR * max(1, np.abs(scores).max())
    return {own, *np.flatnonzero(scores > level + near)}, {own, *np.flatnonzero(scores >= level - near)}


def _check(how: Any, rows: Any, first: int, begin: int, queries: Any, keys: Any) -> bool:
    """A KV head's rows [rows, cols] of a request, with its queries [n, heads of the group, dim], the last of keys [tokens, dim]."""
    policy, budget = how.policy, how.budget
    for i, row in enumerate(rows):
        positions = np.arange(begin, len(keys))
        of_row = queries[positions // policy.block == first + i]
        limits = [_bounds(policy, budget, of_row[:, head], keys, first + i) for head in range(queries.shape[1])]
        chosen = set(row.nonzero()[0].tolist())
        if not set().union(*(must for must, _ in limits)) <= chosen <= set().union(*(may for _, may in limits)):
            return False
    return True


def _choose_and_record(self: Any, query: Any, keys: Any, metadata: Any) -> Any:
    masks: Any = _choose(self, query, keys, metadata)
    shape = metadata.roarmask_step.shape
    out = []
    for i, request in enumerate(_runner.input_batch.req_ids[: len(masks)]):
        begin, end = (int(at) for at in shape.query_start_loc[i : i + 2])
        length = int(shape.seq_lens[i])
        if begin == end:
            continue
        first, cols = (length - (end - begin)) // self.block, -(-length // self.block)
        rows = np.stack([mask[first:cols, :cols].to_dense() for mask in masks[i]])
        checked = wrong = 0
        for head, how in enumerate(self.masks):
            single = None if isinstance(how, Mask) or len(how.terms) > 1 or len(how.terms[0]) > 1 else how.terms[0][0]
            if single is None or not isinstance(single.policy, (quest, topk_blocks, topp_blocks)) or self.number % 7 > 1:
                continue
            pages = metadata.block_table[i, : -(-length // shape.page)].long()
            of_head = keys[pages, head].transpose(1, 2).flatten(0, 1)[:length].double().numpy()
            group = slice(head * self.num_queries_per_kv, (head + 1) * self.num_queries_per_kv)
            checked += len(rows[head])
            wrong += not _check(single, rows[head], first, length - (end - begin), query[begin:end, group].double().numpy(), of_head)
        out.append((int(request.split("-")[0]), self.number, length - (end - begin), length, rows, checked, wrong))
    with open(os.environ["ROARMASK_TEST_RECORD"], "ab") as file:
        pickle.dump(out, file)
    return masks


for owner, name, ours in ((GPUModelRunner, "execute_model", _execute_and_remember), (ChoosingCPUImpl, "masks_of_step", _choose_and_record)):
    setattr(owner, name, ours)


class Recorder:
    """Being imported is what it is for."""
