# SPDX-License-Identifier: Apache-2.0
"""What the binding promises beside results: arguments, errors, memory, threads, cost."""

import copy
import errno
import gc
import pickle
import resource
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest

from roarmask import MAX_SIDE, Atlas, Builder, ExpressionError, FormatError, Mask

LOCAL = Mask.parse("causal & (sink(4) | window(8))", 100)


@pytest.mark.parametrize("row", [5, np.int64(5), np.uint8(5), np.array(5), -95])
def test_a_row_by_any_whole_number(row):
    assert LOCAL[row].tolist() == [0, 1, 2, 3, 4, 5]
    assert LOCAL.row_count(row) == 6


@pytest.mark.parametrize("row", [100, -101, 2**31, 2**80, -(2**80)])
def test_rows_out_of_range(row):
    for read in (LOCAL.__getitem__, LOCAL.row_count, LOCAL.row_ranges, LOCAL.intersection, lambda r: LOCAL.union([0, r])):
        with pytest.raises(IndexError, match=f"row {row} is out of range: the mask has 100 rows"):
            read(row)
    assert (row, 0) not in LOCAL
    assert (0, row) not in LOCAL


@pytest.mark.parametrize("key", [1.5, "1", None, (1, 2), (slice(1), 2), (slice(1), slice(1), slice(1)), [1, 2]])
def test_what_is_no_index(key):
    with pytest.raises(TypeError):
        LOCAL[key]


def test_what_is_no_cell_or_row():
    for cell in (3, "ab", (1.5, 2), ("a", 1)):
        with pytest.raises(TypeError):
            assert cell in LOCAL
    with pytest.raises(ValueError, match=r"\(row, col\)"):
        assert (1, 2, 3) in LOCAL
    for rows in ("12", 1.5, [1.5]):
        with pytest.raises(TypeError):
            LOCAL.intersection(rows)
    with pytest.raises(ValueError, match="take_rows"):
        LOCAL[::2]


def read_only(values):
    array = np.array(values)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "convert",
    [list, tuple, np.array, read_only, lambda v: np.array(v, np.uint8), lambda v: np.array(v, ">i8"), lambda v: np.repeat(v, 3)[::3]],
)
def test_columns_in_many_forms(convert):
    cols = convert([1, 4, 7])
    assert Mask.from_rows([cols], 9)[0].tolist() == [1, 4, 7]
    assert Mask.from_coo(cols, cols, 9) == Mask.from_coo([1, 4, 7], [1, 4, 7], 9)
    assert Mask.from_csr([0, 3], cols, 9)[0].tolist() == [1, 4, 7]
    assert LOCAL.take_rows(cols).rows == 3
    builder = Builder(1, 9)
    builder.add(0, cols)
    assert builder.freeze()[0].tolist() == [1, 4, 7]


def test_tensors_are_columns():
    torch = pytest.importorskip("torch")
    cols = torch.tensor([1, 4, 7])
    assert Mask.from_rows([cols, cols.to(torch.int32)], 9)[1].tolist() == [1, 4, 7]
    assert Mask.from_dense(torch.eye(3)) == Mask.from_dense(torch.eye(3, dtype=torch.bool)) == Mask.parse("diagonals(0)", 3)
    assert torch.from_numpy(LOCAL[50]).tolist() == LOCAL[50].tolist()
    assert torch.from_dlpack(LOCAL.to_dense()).shape == (100, 100)


class OnlyDlpack:
    """An array of another library, which NumPy knows nothing of."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **arguments):
        return self.array.__dlpack__(**arguments)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack_is_enough():
    assert Mask.from_rows([OnlyDlpack(np.array([1, 4]))], 9)[0].tolist() == [1, 4]
    assert Mask.from_dense(OnlyDlpack(np.eye(3))) == Mask.parse("diagonals(0)", 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Mask.from_coo([2**32], [0], 5), IndexError, "row_indices: 4294967296 is out of range"),
        (lambda: Mask.from_coo([0], [-(2**31) - 1], 5), IndexError, "col_indices: -2147483649 is out of range"),
        (lambda: Mask.from_coo([-1], [0], 5), IndexError, "row -1"),
        (lambda: Mask.from_coo([1], [5], 5), IndexError, "column 5"),
        (lambda: Mask.from_coo([1.0], [0], 5), TypeError, "row_indices must be whole numbers, not float64"),
        (lambda: Mask.from_coo([[1]], [0], 5), ValueError, "row_indices must be a list or an array with one dimension"),
        (lambda: Mask.from_coo([1, 2], [0], 5), ValueError, "differ in length"),
        (lambda: Mask.from_coo(["1"], [0], 5), TypeError, "whole numbers"),
        (lambda: Mask.from_coo([True], [0], 5), TypeError, "whole numbers"),
        (lambda: Mask.from_csr([], [], 5), ValueError, "indptr is empty"),
        (lambda: Mask.from_csr([0, 2, 1], [0, 1], 5), ValueError, "indptr decreases"),
        (lambda: Mask.from_csr([0, 3], [0, 1], 5), ValueError, "end within the indices"),
        (lambda: Mask.from_csr([1, 2], [0, 1], 5), ValueError, "begin with 0"),
        (lambda: Mask.from_rows([[2, 1]], 5), ValueError, "not strictly increasing: column 1 follows 2"),
        (lambda: Mask.from_rows([[1, 1]], 5), ValueError, "not strictly increasing"),
        (lambda: Mask.from_rows([[-1]], 5), IndexError, "column -1"),
        (lambda: Mask.from_rows([5], 5), ValueError, "one dimension"),
        (lambda: Mask.from_dense([1, 2]), ValueError, "two dimensions, not 1"),
        (lambda: Mask.from_bits([[1]], 8), ValueError, "uint8"),
        (lambda: Mask.from_bits(np.zeros((2, 1), np.uint8), 9), ValueError, "2 are needed"),
        (lambda: Mask.from_scipy(3), TypeError, "scipy.sparse"),
        (lambda: Mask.parse("full", -1), ValueError, "rows must be from 0 to 2147483647, not -1"),
        (lambda: Mask.parse("full", 1, 2**31), ValueError, "cols must be from 0"),
        (lambda: Mask.parse("full", 1.5), TypeError, "incompatible"),
        (Mask, TypeError, "no constructor"),
        (lambda: LOCAL & Mask.parse("full", 99), ValueError, "100"),
        (lambda: LOCAL.combine(LOCAL, 16), ValueError, "0 to 15"),
        (lambda: LOCAL.take_rows([100]), IndexError, "row 100 is out of range"),
        (lambda: LOCAL.coarsen(0), ValueError, "tile_rows must be at least 1"),
        (lambda: LOCAL.slice(5, 3), IndexError, r"\[5, 3\)"),
        (lambda: LOCAL.append_rows([[100]]), IndexError, "column 100"),
        (lambda: LOCAL.append_rows([[1]], cols=99), ValueError, "only added"),
        (lambda: Mask.stack([]), ValueError, "at least one"),
        (lambda: LOCAL.raster(0, 1), ValueError, "at least one field"),
        (lambda: Builder(5).add(5, [1]), IndexError, "row 5 is out of range: the builder has 5 rows"),
        (lambda: Builder(5).add(0, [2, 1]), ValueError, "strictly increasing"),
        (lambda: Builder(5).add_range(0, 2, 6), IndexError, "5 columns"),
        (lambda: np.asarray(LOCAL, copy=False), ValueError, "copy=False"),
        (lambda: Mask.parse("causal", MAX_SIDE).to_dense(), MemoryError, "EiB"),
        (lambda: np.ones(100) & LOCAL, TypeError, "unsupported operand"),
    ],
)
def test_errors_say_what_is_wrong(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_expression_errors_have_a_position():
    with pytest.raises(ExpressionError, match="position 9") as caught:
        Mask.parse("causal & what", 5)
    assert caught.value.position == 9
    assert isinstance(caught.value, ValueError)
    assert pickle.loads(pickle.dumps(caught.value)).position == 9
    with pytest.raises(ExpressionError, match="NUL at position 6"):
        Mask.parse("causal\0 & none", 5)


def test_files_fail_as_files_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="no-file") as caught:
        Mask.open(tmp_path / "no-file")
    assert caught.value.errno == errno.ENOENT
    for call in (Mask.load, Atlas.open, Atlas.load):
        with pytest.raises(FileNotFoundError):
            call(tmp_path / "no-file")
    for call in (Mask.open, Mask.load):
        with pytest.raises(IsADirectoryError):
            call(tmp_path)
    with pytest.raises(FileNotFoundError):
        LOCAL.save(tmp_path / "no-folder" / "x")
    for call in (Mask.open, Mask.load, LOCAL.save, Atlas.open):
        with pytest.raises(ValueError, match="null byte"):
            call("a\0b")
        with pytest.raises(TypeError):
            call(3)
    (tmp_path / "text").write_text("no mask")
    for call in (Mask.open, Mask.load):
        with pytest.raises(FormatError, match="text"):
            call(tmp_path / "text")


def test_damaged_bytes():
    data = LOCAL.tobytes()
    for at in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[at] ^= 0x55
        with pytest.raises(FormatError):
            Mask.frombytes(damaged)
    for end in range(0, len(data), 9):
        with pytest.raises(FormatError):
            Mask.frombytes(data[:end])
    for wrong in ("text", 5, None):
        with pytest.raises(TypeError):
            Mask.frombytes(wrong)


def test_masks_as_values():
    again = Mask.from_dense(LOCAL.to_dense())
    assert again == LOCAL
    assert {LOCAL: 1}[again] == 1
    assert LOCAL != 3
    assert (LOCAL == 3) is False
    assert LOCAL.__eq__(3) is NotImplemented
    assert Mask.parse("none", 100) != LOCAL
    assert Mask.parse("none", 0, 5) != Mask.parse("none", 5, 0)
    assert copy.copy(LOCAL) is copy.deepcopy(LOCAL) is LOCAL
    for wrong in (lambda: LOCAL < 3, lambda: LOCAL & 3, lambda: 3 - LOCAL):
        with pytest.raises(TypeError):
            wrong()
    assert repr(LOCAL) == f"<roarmask.Mask 100 x 100, {LOCAL.nnz} cells (11.34%), {LOCAL.nbytes} bytes>"
    assert [row.tolist() for row in LOCAL] == [LOCAL[r].tolist() for r in range(100)]
    assert weakref.ref(LOCAL)() is LOCAL


def test_random_masks_of_one_count_have_their_own_hashes():
    rng = np.random.default_rng(5)
    top_k = [Mask.from_rows([np.sort(rng.choice(64, 8, replace=False)) for _ in range(64)], 64) for _ in range(50)]
    assert len({hash(mask) for mask in top_k}) == 50


def test_atlas_entries_and_errors():
    other = ~LOCAL
    atlas = Atlas([[LOCAL, other], [None, LOCAL]], note="ä")
    assert (atlas.layers, atlas.heads, atlas.rows, atlas.cols, atlas.note) == (2, 2, 100, 100, "ä")
    assert (atlas[0, 0], atlas[0, 1], atlas[1, 0], atlas[-1, -1]) == (LOCAL, other, None, LOCAL)
    assert atlas.masks == [LOCAL, other]
    assert atlas == Atlas.frombytes(bytearray(atlas.tobytes())) == pickle.loads(pickle.dumps(atlas))
    assert atlas != Atlas([[LOCAL]])
    assert hash(atlas) == hash(Atlas.frombytes(atlas.tobytes())) != hash(Atlas([[LOCAL]]))
    with pytest.raises(IndexError, match="layer 2, head 0"):
        atlas[2, 0]
    assert atlas.map(lambda mask: ~mask)[0, 0] == other
    with pytest.raises(ZeroDivisionError):
        atlas.map(lambda mask: 1 / 0)
    with pytest.raises(TypeError, match="must return a Mask"):
        atlas.map(lambda mask: 3)
    for bad in ([], [[]], [[LOCAL], []], [[None]], [[LOCAL, Mask.parse("full", 3)]]):
        with pytest.raises(ValueError):  # noqa: PT011
            Atlas(bad)
    with pytest.raises(ValueError, match="NUL"):
        Atlas([[LOCAL]], note="a\0b")
    assert (atlas & atlas)[0, 1] == other
    assert atlas.stats()["masks"] == 2


def test_atlas_files(tmp_path):
    atlas = Atlas([[LOCAL, None]])
    atlas.save(tmp_path / "x.ratlas")
    for opened in (Atlas.open(tmp_path / "x.ratlas"), Atlas.load(str(tmp_path / "x.ratlas"))):
        assert opened == atlas
        opened.verify()


def test_builders():
    builder, dense = Builder(20, 30), np.zeros((20, 30), bool)
    rng = np.random.default_rng(1)
    frozen = []
    for _ in range(200):
        row, (a, b) = int(rng.integers(20)), sorted(rng.integers(0, 31, 2).tolist())
        match rng.integers(3):
            case 0:
                builder.add_range(row, a, b)
                dense[row, a:b] = True
            case 1:
                builder.remove_range(row, a, b)
                dense[row, a:b] = False
            case 2:
                cols = np.unique(rng.integers(0, 30, 5))
                builder.add(row, cols)
                dense[row, cols] = True
        frozen.append((builder.freeze(), dense.copy()))
    builder.add_mask(Mask.parse("causal", 20, 30))
    assert builder.freeze() == Mask.from_dense(dense | np.tri(20, 30, 10, dtype=bool))
    assert all(mask == Mask.from_dense(cells) for mask, cells in frozen)


# ---------------------------------------------------------------- memory


def resident():
    with open("/proc/self/statm") as facts:
        return int(facts.read().split()[1]) * resource.getpagesize()


def hot_paths(other, wrong_key):
    yield LOCAL[50]
    yield LOCAL & other
    yield other == LOCAL
    yield (5, 5) in LOCAL
    yield LOCAL.intersection(3, 5)
    yield LOCAL.row_count(3)
    yield LOCAL.shape
    try:
        LOCAL[wrong_key]
    except IndexError as error:
        yield error


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_million_calls_leak_nothing():
    other, key = Mask.parse("causal", 100), 1000

    def calls(times):
        for _ in range(times):
            for _ in hot_paths(other, key):
                pass

    calls(1000)
    gc.collect()
    references = [sys.getrefcount(x) for x in (Mask, LOCAL, other, IndexError, FormatError, np.dtype(np.int32))]
    before = resident()
    calls(125_000)  # eight calls each
    gc.collect()
    assert resident() - before < 4 << 20
    after = [sys.getrefcount(x) for x in (Mask, LOCAL, other, IndexError, FormatError, np.dtype(np.int32))]
    assert all(abs(a - b) < 50 for a, b in zip(after, references, strict=True)), (references, after)


def test_the_rest_leaks_nothing(tmp_path):
    path = tmp_path / "x.rmask"
    LOCAL.save(path)

    def everything():
        rows = [[1, 2], np.array([3]), (4,)]
        made = Mask.from_rows(rows, 9)
        grown = made.append_rows([[1]]).append_rows(made, cols=9)
        outputs = [grown.to_csr(), grown.to_coo(), grown.to_dense(), grown.to_bits(), grown.raster(2, 2), grown.stats(), hash(grown)]
        outputs += [list(grown), pickle.loads(pickle.dumps(grown)), Mask.open(path), grown.coarsen(2), grown.T]
        outputs += [Atlas([[grown, None]]).map(lambda mask: mask)]
        for call, *arguments in (
            (Mask.parse, "what", 5),
            (Mask.open, "/no-file"),
            (Mask.frombytes, b"no mask"),
            (Mask.from_rows, [[2, 1]], 5),
            (Mask.from_rows, [["a"]], 5),
        ):
            with pytest.raises((ValueError, OSError, TypeError)):
                call(*arguments)
        return outputs

    for _ in range(50):
        everything()
    gc.collect()
    tracemalloc.start()
    before, resident_before = tracemalloc.get_traced_memory()[0], resident()
    for _ in range(2000):
        everything()
    gc.collect()
    grown_by, resident_by = tracemalloc.get_traced_memory()[0] - before, resident() - resident_before
    tracemalloc.stop()
    assert grown_by < 100_000
    assert resident_by < 8 << 20


@pytest.mark.parametrize(
    ("leaked", "warned"), [("", False), ("ctypes.pythonapi.Py_IncRef(ctypes.py_object(other))", True)], ids=["nothing", "a mask"]
)
def test_nothing_is_left_when_the_interpreter_ends(tmp_path, leaked, warned):
    """Every object, type and function of the binding is let go; and the warning is there where one is not."""
    program = f"""
import ctypes, pathlib, roarmask._core, roarmask.export as export, test_binding as tests
roarmask._core._warn_of_leaks(True)
other = tests.Mask.parse("causal & window(9) | random(0.1)", 100)
for _ in tests.hot_paths(other, 1000): pass
tests.test_the_rest_leaks_nothing(pathlib.Path({str(tmp_path)!r}))
kept = [export.flashinfer_bsr(other, 8, packed=True), export.fa4_block_sparse([other, None], 8), export.magi_slices(other)]
kept += [export.fits(other, "flashmask"), export.fits(other, "vertical_slash"), export.dense_bool(other), tests.Builder(3).freeze()]
{leaked}
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert ("nanobind: leaked" in run.stderr) == warned, run.stderr


def test_huge_grids_cost_no_width():
    huge = Mask.parse("window(3, 3) | sink(2)", MAX_SIDE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert huge[-1].tolist() == [0, 1, MAX_SIDE - 4, MAX_SIDE - 3, MAX_SIDE - 2, MAX_SIDE - 1]
    assert huge.intersection(5, 9).tolist() == [0, 1, 6, 7, 8]
    assert huge.union([5, 2**30]).tolist() == [0, 1, *range(2, 9), *range(2**30 - 3, 2**30 + 4)]
    assert (MAX_SIDE - 1, MAX_SIDE - 1) in huge
    assert huge.row_ranges(-1).tolist() == [[0, 2], [MAX_SIDE - 4, MAX_SIDE]]
    assert huge == huge.T.T
    assert hash(huge.T.T) == hash(huge)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


# ---------------------------------------------------------------- threads


def test_big_work_lets_other_threads_run():
    big = Mask.parse("random(0.02, seed=1)", 12_000)
    other = Mask.parse("random(0.02, seed=2)", 12_000)
    done, running = threading.Event(), threading.Event()

    def work():
        running.set()
        for _ in range(8):
            _ = big & other
        done.set()

    # With a switch interval of a minute another thread only runs when the working one lets go of the lock.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        running.wait()
        ticks = 0
        while not done.is_set():
            ticks += 1
            time.sleep(0)
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert ticks > 100


def test_many_threads_read_one_mask(tmp_path):
    mask = Mask.parse("random(0.05, seed=1) | window(9)", 2000)
    mask.save(tmp_path / "x.rmask")
    opened = Mask.open(tmp_path / "x.rmask")  # rows are checked by whoever comes first
    expected, data, failures = [row.tolist() for row in mask], mask.tobytes(), []

    def read(seed):
        rows = np.random.default_rng(seed).permutation(2000)[:400].tolist()
        failures.extend(row for row in rows if opened[row].tolist() != expected[row])
        if opened.tobytes() != data or (opened & mask) != opened or hash(opened) != hash(mask):
            failures.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_threads_take_turns_in_a_builder():
    builder = Builder(800, 800)

    def fill(first):
        for row in range(first, 800, 8):
            builder.add(row, np.arange(row % 7, 800, 3))
            builder.freeze()

    threads = [threading.Thread(target=fill, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builder.freeze() == Mask.from_rows([np.arange(row % 7, 800, 3) for row in range(800)], 800)


def test_threads_append_to_one_mask():
    start = LOCAL.append_rows([[1]])
    made = [None] * 8

    def append(i):
        mask = start
        for row in range(100):
            mask = mask.append_rows([[i, 10 + row % 90]])
        made[i] = mask

    threads = [threading.Thread(target=append, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, mask in enumerate(made):
        assert [mask[101 + row].tolist() for row in range(100)] == [[i, 10 + row % 90] for row in range(100)]
        assert mask[:101] == start


# ---------------------------------------------------------------- cost


def test_appending_twice_to_one_mask():
    first = LOCAL.append_rows([[1]])
    a, b = first.append_rows([[2]]), first.append_rows([[3], [4]])
    assert (a.rows, b.rows, first.rows, LOCAL.rows) == (102, 103, 101, 100)
    assert (a[101].tolist(), b[101].tolist(), b[102].tolist(), first[100].tolist()) == ([2], [3], [4], [1])
    failed = first.append_rows([[5]])
    with pytest.raises(IndexError):
        failed.append_rows([[6], [100]])
    assert failed.append_rows([[7]])[102].tolist() == [7]


def test_appending_is_amortised():
    rng = np.random.default_rng(3)
    rows = [np.unique(rng.integers(0, 20_000, 12)).astype(np.int32) for _ in range(20_000)]

    def append(count):
        mask, start = Mask.parse("none", 0, 20_000), time.thread_time()
        for row in rows[:count]:
            mask = mask.append_rows([row])
        return time.thread_time() - start, mask

    short, (long, mask) = (min((append(count) for _ in range(3)), key=lambda run: run[0]) for count in (2_500, 20_000))
    assert mask == Mask.from_rows(rows, 20_000)
    # Eight times the rows; a copy of the mask at each step would cost 64 times as much.
    assert long < 24 * short[0]
