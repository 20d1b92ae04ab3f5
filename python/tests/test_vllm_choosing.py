# SPDX-License-Identifier: Apache-2.0
"""The masks that policies choose over a paged cache, against the same policies on plain arrays. Without vLLM."""

from typing import Any

import numpy as np
import pytest

from roarmask import Mask
from roarmask.policies import quest, sampled_queries, topk_blocks, topp_blocks, vertical_slash, xattention
from roarmask.vllm.chosen import Bound, Chosen, parse

torch = pytest.importorskip("torch")

from roarmask.vllm.choosing import Chooser, Shape  # noqa: E402

BLOCK, PAGE, DIM, KV_HEADS, GROUP, NUM_PAGES = 4, 8, 16, 2, 3, 24


class Engine:
    """A paged cache as vLLM keeps it: pages are shared, freed and overwritten, and what stood there before stays until then."""

    def __init__(self, seed: int, dtype: Any) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype
        # Whatever was never written must not be looked at.
        self.keys = torch.full((NUM_PAGES, KV_HEADS, DIM, PAGE), float("nan"), dtype=dtype)
        self.free = list(self.rng.permutation(NUM_PAGES))
        self.tables: dict[int, list[int]] = {}
        self.known: dict[int, Any] = {}  # [tokens, KV heads, dim] of each sequence

    def start(self, name: int, prefix_of: int | None = None, pages: int = 0) -> None:
        """A sequence that has the first pages of another one already."""
        shared = [] if prefix_of is None else self.tables[prefix_of][:pages]
        self.tables[name] = list(shared)
        self.known[name] = torch.zeros(0, KV_HEADS, DIM, dtype=self.dtype) if prefix_of is None else self.known[prefix_of][: pages * PAGE]

    def end(self, name: int) -> None:
        others = {page for other, table in self.tables.items() if other != name for page in table}
        self.free += [page for page in self.tables.pop(name) if page not in others]
        del self.known[name]

    def step(self, counts: dict[int, int]) -> tuple[Any, Shape]:
        """Writes that many new keys for each sequence; their queries, and the step."""
        for name, count in counts.items():
            new = torch.from_numpy(self.rng.standard_normal((count, KV_HEADS, DIM)) * 2).to(self.dtype)
            begin = len(self.known[name])
            self.known[name] = torch.cat([self.known[name], new])
            while len(self.tables[name]) * PAGE < begin + count:
                self.tables[name].append(int(self.free.pop(0)))
            for i in range(count):
                at = begin + i
                self.keys[self.tables[name][at // PAGE], :, :, at % PAGE] = new[i]
        query = torch.from_numpy(self.rng.standard_normal((sum(counts.values()), KV_HEADS * GROUP, DIM))).to(self.dtype)
        tables = np.full((len(counts), 16), 10**6, np.int32)  # what stands behind a sequence's pages means nothing
        for i, name in enumerate(counts):
            tables[i, : len(self.tables[name])] = self.tables[name]
        starts = np.concatenate([[0], np.cumsum(list(counts.values()))]).astype(np.int32)
        lengths = np.array([len(self.known[name]) for name in counts], np.int32)
        return query, Shape(starts, lengths, tables, PAGE, BLOCK)

    def expected(self, name: int, how: Chosen, head: int, queries: Any) -> Any:
        """bool [rows, cols]: what the policies say of a sequence's last queries [n, heads, dim], united over a KV head's query heads."""
        keys = self.known[name][:, head].float().numpy()
        rows: Any = None
        for one in range(head * GROUP, (head + 1) * GROUP):
            of_terms: Any = False
            for term in how.terms:
                of_parts: Any = True
                for part in term:
                    of_parts = of_parts & self._part(part, queries[:, one].float().numpy(), keys)
                of_terms = of_terms | of_parts
            rows = of_terms if rows is None else rows | of_terms
        first = (len(keys) - len(queries)) // BLOCK
        own = np.arange(first, first + len(rows))[:, None] == np.arange(rows.shape[1])
        return rows | own

    @staticmethod
    def _part(part: Any, queries: Any, keys: Any) -> Any:
        if isinstance(part, Bound):
            return part.policy.mask(queries, keys, part.budget).to_dense()
        first, last = (len(keys) - len(queries)) // BLOCK, (len(keys) - 1) // BLOCK
        return part[first : last + 1, : last + 1].to_dense()


def sink(size: int) -> Mask:
    return Mask.parse(f"causal & (sink({size}) | diagonals(0))", 64)


HOWS = {
    "quest": Chosen(((Bound(quest(BLOCK), 3),),)),
    "quest share": Chosen(((Bound(quest(BLOCK), 0.4),),)),
    "topk": Chosen(((Bound(topk_blocks(BLOCK), 2),),)),
    "topp": Chosen(((Bound(topp_blocks(BLOCK), 0.6),),)),
    "xattention": Chosen(((Bound(xattention(BLOCK, 2), 0.7),),)),
    "sampled queries": Chosen(((Bound(sampled_queries(BLOCK, 3, 1), 0.7),),)),
    "vertical slash": Chosen(((Bound(vertical_slash(BLOCK, 8), 3),),)),
    "union with a sink": Chosen(((sink(1),), (Bound(quest(BLOCK), 2),), (Bound(topp_blocks(BLOCK), 0.3),))),
    "intersections": Chosen(((Bound(quest(BLOCK), 4), Bound(topk_blocks(BLOCK), 4)), (sink(2), Bound(topp_blocks(BLOCK), 0.9)))),
}


def check(engine: Engine, chooser: Chooser, heads: list[Any], counts: dict[int, int]) -> list[list[set[int]]]:
    """A step's masks; the physical blocks of each decoding request, for each KV head."""
    query, shape = engine.step(counts)
    choice = chooser.choose(query, engine.keys, shape)
    read = held = 0
    decoded: list[list[set[int]]] = []
    for request, (name, count) in enumerate(counts.items()):
        length = len(engine.known[name])
        first = (length - count) // BLOCK
        of_heads = []
        for head, how in enumerate(heads):
            mask = choice.masks[request][head]
            if count == 0:
                continue
            assert mask is not None
            if isinstance(how, Mask):
                assert mask is how
                rows = how[first : (length - 1) // BLOCK + 1, : (length - 1) // BLOCK + 1].to_dense()
            else:
                assert mask.shape == ((length - 1) // BLOCK + 1,) * 2
                begin = shape.query_start_loc[request]
                rows = engine.expected(name, how, head, query[begin : begin + count])
                assert np.array_equal(mask.to_dense()[first:], rows), (name, head)
                assert mask[:first].nnz == 0
            read += int(rows.sum())
            held += sum(range(first + 1, (length - 1) // BLOCK + 2))
            if count == 1:
                of_heads.append({int(shape.blocks[request, col]) for col in rows[-1].nonzero()[0]})
        if of_heads:
            decoded.append(of_heads)
    assert (choice.read, choice.held) == (read, held)
    before = getattr(chooser, "before_of_test", [set()] * len(heads))
    now = [set().union(*(one[head] for one in decoded)) for head in range(len(heads))] if decoded else [set()] * len(heads)
    assert choice.decode_read == sum(len(one) for of_request in decoded for one in of_request)
    assert choice.decode_new == sum(len(one[head] - before[head]) for one in decoded for head in range(len(heads)))
    chooser.before_of_test = now  # type: ignore[attr-defined]
    return decoded


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
def test_chosen_as_offline(how: Chosen, dtype: Any) -> None:
    """Prompts, chunks, decoding, mixed steps, a shared prefix, and pages that were freed and written again."""
    engine = Engine(3, dtype)
    heads = [how, how]
    chooser = Chooser(heads, GROUP, DIM**-0.5)
    engine.start(0)
    check(engine, chooser, heads, {0: 29})
    for _ in range(6):
        check(engine, chooser, heads, {0: 1})
    engine.start(1, prefix_of=0, pages=2)
    check(engine, chooser, heads, {1: 7, 0: 1})
    check(engine, chooser, heads, {0: 1, 1: 2})
    engine.end(0)
    engine.start(2)
    check(engine, chooser, heads, {1: 1, 2: 50})  # on the pages of 0, all but the shared ones
    engine.start(3)
    check(engine, chooser, heads, {3: 3, 1: 0, 2: 1})
    for _ in range(10):
        check(engine, chooser, heads, {3: 1, 2: 1, 1: 1})
    engine.end(2)
    engine.start(4)
    check(engine, chooser, heads, {4: 5})
    for _ in range(30):
        check(engine, chooser, heads, {4: 1, 1: 1})


def test_every_head_its_own_way() -> None:
    engine = Engine(5, torch.float32)
    heads: list[Any] = [HOWS["quest"], sink(2)]
    chooser = Chooser(heads, GROUP, DIM**-0.5)
    engine.start(0)
    engine.start(1)
    check(engine, chooser, heads, {0: 40, 1: 3})
    for _ in range(9):
        check(engine, chooser, heads, {1: 1, 0: 1})


def test_any_sequence_of_steps() -> None:
    rng = np.random.default_rng(11)
    engine = Engine(7, torch.float32)
    heads = [HOWS["union with a sink"], HOWS["intersections"]]
    chooser = Chooser(heads, GROUP, DIM**-0.5)
    names = 0
    for _ in range(150):
        running = [name for name in engine.tables if len(engine.known[name]) < 80]
        ended = [name for name in engine.tables if name not in running]
        if ended or (running and rng.random() < 0.1):
            engine.end(int(rng.choice(ended or running)))
        elif len(running) < 2:
            donor = [name for name in engine.tables if len(engine.tables[name]) > 1 and len(engine.known[name]) >= PAGE]
            engine.start(names, donor[0] if donor and rng.random() < 0.5 else None, 1)
            names += 1
        else:
            check(engine, chooser, heads, {name: int(rng.choice([1, 1, 1, 0, 6])) for name in running})


def test_another_scale() -> None:
    """The model's own, for what a softmax is taken of."""
    engine = Engine(9, torch.float32)
    engine.start(0)
    query, shape = engine.step({0: 60})
    for name, policy, budget in (
        ("topp", topp_blocks(BLOCK), 0.6),
        ("xattention", xattention(BLOCK, 2), 0.7),
        ("sampled queries", sampled_queries(BLOCK, 3, 1), 0.7),
    ):
        chosen = Chooser([HOWS[name]] * 2, GROUP, 0.5).choose(query, engine.keys, shape).masks[0][0]
        keys = engine.known[0][:, 0].numpy()
        # 0.5 is twice what the policies take.
        wanted = [policy.mask(query[:, one].float().numpy() * 2, keys, budget) for one in range(GROUP)]
        assert chosen == wanted[0] | wanted[1] | wanted[2]


@pytest.mark.parametrize(
    ("entry", "formula"),
    [
        ("streaming(8)", "(sink(1) | window(7))"),
        ("streaming(1)", "(sink(0) | window(1))"),
        ("streaming(8, sink=3)", "(sink(3) | window(5))"),
    ],
)
def test_streaming_is_a_formula(entry: str, formula: str) -> None:
    assert parse(entry, BLOCK, lambda text: Mask.parse(text, 4)) == formula


def test_entries_with_policies() -> None:
    made: list[str] = []

    def mask_of(text: str) -> Mask:
        made.append(text)
        return Mask.parse("causal", 4)

    how = parse(" sink(1) | window(4) & quest( 0.5 )|xattention(0.9, stride=2) | topk_blocks(3)", BLOCK, mask_of)
    assert isinstance(how, Chosen)
    assert made == ["sink(1)", "window(4)"]
    one, two, three, four = how.terms
    assert isinstance(one[0], Mask)
    assert isinstance(two[0], Mask)
    assert isinstance(two[1], Bound)
    assert (type(two[1].policy), two[1].budget, two[1].policy.block) == (quest, 0.5, BLOCK)
    assert isinstance(three[0], Bound)
    assert isinstance(three[0].policy, xattention)
    assert (three[0].policy.stride, three[0].budget) == (2, 0.9)
    assert isinstance(four[0], Bound)
    assert four[0].budget == 3


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("quest()", "quest: '' is no number"),
        ("quest(0)", "'quest(0)': a budget is a number of blocks from 1, or a share above 0 up to 1.0"),
        ("quest(1.5)", "up to 1.0"),
        ("quest(4, stride=2)", "'quest(4, stride=2)': quest takes a budget"),
        ("xattention(0.9, stride=3)", "strides of 3"),
        ("xattention(9)", "the budget of xattention is a share, such as 0.9"),
        ("topp_blocks(2)", "is a share"),
        ("vertical_slash(stride=2)", "takes a budget, last=NUMBER"),
        ("heavy_hitters(8)", "'heavy_hitters(8)': it adds up the attention of all earlier queries, which are not kept"),
        ("streaming(0.5)", "give a number of blocks"),
        ("quest(4) ^ sink(1)", "policies go together with | and & only"),
    ],
)
def test_one_line_says_what_is_wrong(entry: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".*") as error:
        parse(entry, BLOCK, lambda text: Mask.parse(text, 4))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
