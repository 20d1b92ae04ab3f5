# SPDX-License-Identifier: Apache-2.0
"""Every operation of Mask against the same one on a NumPy array of bools."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roarmask import Mask
from strategies import cells_of, masks, pairs, sides


def same(mask, dense):
    dense = np.asarray(dense, bool)
    assert mask.shape == dense.shape
    assert mask.nnz == dense.sum()
    assert (cells_of(mask) == dense).all()


@given(masks())
def test_rows(pair):
    mask, dense = pair
    assert (mask.rows, mask.cols) == mask.shape == dense.shape
    assert len(mask) == len(dense)
    assert mask.density == (dense.mean() if dense.size else 0)
    for row in range(mask.rows):
        cols = np.flatnonzero(dense[row])
        assert mask[row].dtype == np.int32
        assert mask[row].tolist() == cols.tolist() == mask[row - mask.rows].tolist()
        assert mask.row_count(row) == len(cols)
        ranges = mask.row_ranges(row)
        assert ranges.shape == (len(ranges), 2)
        assert [c for a, b in ranges for c in range(a, b)] == cols.tolist()
        assert (ranges[1:, 0] > ranges[:-1, 1]).all()
    for row in range(-1, mask.rows + 1):
        for col in (-1, 0, 5, mask.cols - 1, mask.cols):
            inside = 0 <= row < mask.rows and 0 <= col < mask.cols
            assert ((row, col) in mask) == (inside and bool(dense[row, col]))


@given(masks(rows=st.integers(1, 9)), st.lists(st.integers(-1, 8), max_size=5))
def test_rows_are_combined(pair, rows):
    mask, dense = pair
    rows = [row % mask.rows for row in rows]
    all_of, any_of = dense[rows].all(axis=0), dense[rows].any(axis=0)
    for given_rows in ([rows], rows, [np.array(rows, np.int64)]):
        assert mask.intersection(*given_rows).tolist() == np.flatnonzero(all_of).tolist()
        assert mask.union(*given_rows).tolist() == np.flatnonzero(any_of).tolist()
    assert mask.intersection(*rows).dtype == mask.union(*rows).dtype == np.int32


@given(masks())
def test_round_trips(pair):
    mask, dense = pair
    same(mask, dense)
    rows, cols = mask.shape
    assert (mask.to_dense() == dense).all()
    assert (np.asarray(mask) == dense).all()
    assert (mask.to_bits() == np.packbits(dense, axis=1, bitorder="little")).all()
    indptr, indices = mask.to_csr()
    assert (indptr.dtype, indices.dtype) == (np.int64, np.int32)
    assert indptr.tolist() == [0, *np.cumsum(dense.sum(axis=1)).tolist()]
    coo = mask.to_coo()
    assert [a.dtype for a in coo] == [np.int32, np.int32]
    assert np.array(coo).tolist() == np.array(np.nonzero(dense)).tolist()
    again = [
        Mask.from_csr(indptr, indices, cols),
        Mask.from_csr(indptr.tolist(), indices.astype(np.int64), cols),
        Mask.from_coo(coo[0][::-1], coo[1][::-1], rows, cols),
        Mask.from_coo(np.repeat(coo[0], 2), np.repeat(coo[1], 2), rows, cols),
        Mask.from_dense(dense),
        Mask.from_dense(dense * 2.5),
        Mask.from_dense(np.asfortranarray(dense)),
        Mask.from_bits(mask.to_bits(), cols),
        Mask.from_rows(list(mask), cols),
        Mask.from_rows((row.tolist() for row in mask), cols),
        Mask.frombytes(mask.tobytes()),
        Mask.frombytes(bytearray(mask.tobytes())),
        pickle.loads(pickle.dumps(mask)),
    ]
    for other in again:
        assert other == mask
        assert hash(other) == hash(mask)
        same(other, dense)


@given(masks())
def test_scipy(pair):
    sparse = pytest.importorskip("scipy.sparse")
    mask, dense = pair
    made = mask.to_scipy()
    assert made.dtype == bool
    assert made.format == "csr"
    assert (made.toarray() == dense).all()
    for kind in (sparse.csr_array, sparse.coo_array, sparse.csc_array):
        assert Mask.from_scipy(kind(dense.astype(float))) == mask
    unsorted = sparse.csr_array((np.array([1, 0, 2]), np.array([2, 1, 2]), np.array([0, 3])), shape=(1, 4))
    assert Mask.from_scipy(unsorted)[0].tolist() == [2]


@given(masks())
def test_files(tmp_path_factory, pair):
    mask, dense = pair
    path = tmp_path_factory.mktemp("masks") / "ä mask.rmask"
    mask.save(path)
    assert path.read_bytes() == mask.tobytes()
    assert len(mask.tobytes()) == mask.nbytes
    for opened in (Mask.open(path), Mask.open(str(path)), Mask.load(path)):
        assert opened == mask
        same(opened, dense)
        opened.verify()


@given(pairs())
def test_algebra(both):
    (a, dense_a), (b, dense_b) = both
    same(a & b, dense_a & dense_b)
    same(a | b, dense_a | dense_b)
    same(a ^ b, dense_a ^ dense_b)
    same(a - b, dense_a & ~dense_b)
    same(~a, ~dense_a)
    assert (a == b) == (dense_a == dense_b).all()
    assert (a != b) is not (a == b)
    assert (a <= b) == (not (dense_a & ~dense_b).any()) == (b >= a)
    assert (a < b) == (a <= b and a != b) == (b > a)
    either = (dense_a | dense_b).sum()
    assert a.jaccard(b) == pytest.approx((dense_a & dense_b).sum() / either if either else 1)
    for function in range(16):
        expected = np.zeros_like(dense_a)
        for bit in range(4):
            if function >> bit & 1:
                expected |= (dense_a == bool(bit & 2)) & (dense_b == bool(bit & 1))
        same(a.combine(b, function), expected)
        assert a.combine_count(b, function) == expected.sum()


@given(pairs(), masks())
def test_algebra_laws(both, other):
    (a, _), (b, _) = both
    c = Mask.from_dense(np.resize(other[1], a.shape) if other[1].size else np.zeros(a.shape, bool))
    assert a & (b | c) == (a & b) | (a & c)
    assert ~(a & b) == ~a | ~b
    assert (a ^ b) ^ b == a
    assert a - b == a & ~b
    assert (a & b) <= a <= (a | b)
    assert (a & b).T == a.T & b.T
    assert hash(a | b) == hash(b | a)


@given(masks(), st.data())
def test_reshaping(pair, data):
    mask, dense = pair
    rows, cols = mask.shape
    same(mask.transpose(), dense.T)
    same(mask.T, dense.T)
    r = sorted(data.draw(st.lists(st.integers(0, rows), min_size=2, max_size=2)))
    c = sorted(data.draw(st.lists(st.integers(0, cols), min_size=2, max_size=2)))
    same(mask.slice(*r, *c), dense[r[0] : r[1], c[0] : c[1]])
    same(mask[r[0] : r[1], c[0] : c[1]], dense[r[0] : r[1], c[0] : c[1]])
    same(mask[r[0] :], dense[r[0] :])
    same(mask[: -r[0] if r[0] else None, -c[1] :], dense[: -r[0] if r[0] else None, -c[1] :])
    down, right = data.draw(st.integers(-rows - 1, rows + 1)), data.draw(st.integers(-cols - 1, cols + 1))
    moved = np.zeros_like(dense)
    for row, col in np.argwhere(dense):
        if 0 <= row + down < rows and 0 <= col + right < cols:
            moved[row + down, col + right] = True
    same(mask.shift(down, right), moved)
    if rows == cols:
        assert mask.shift(down) == mask.shift(down, down)
    times = data.draw(st.integers(0, 3))
    same(mask.repeat(times), np.kron(np.eye(times, dtype=bool), dense) if times and dense.size else np.zeros((times * rows, times * cols)))
    if rows:
        taken = data.draw(st.lists(st.integers(-rows, rows - 1), max_size=8))
        same(mask.take_rows(taken), dense[taken])
        same(mask.take_rows(np.array(taken, np.int16)), dense[taken])


@given(masks(), st.integers(1, 9), st.integers(1, 9))
def test_tiles(pair, tile_rows, tile_cols):
    mask, dense = pair
    rows, cols = -(-mask.rows // tile_rows), -(-mask.cols // tile_cols)
    some, every = np.zeros((rows, cols), bool), np.zeros((rows, cols), bool)
    for i in range(rows):
        for j in range(cols):
            tile = dense[i * tile_rows : (i + 1) * tile_rows, j * tile_cols : (j + 1) * tile_cols]
            some[i, j], every[i, j] = tile.any(), tile.all()
    full, partial = mask.coarsen(tile_rows, tile_cols)
    same(full, every)
    same(partial, some & ~every)
    any_tile, all_tile = mask.coarsen_any_all(tile_rows, tile_cols)
    same(any_tile, some)
    same(all_tile, every)
    fine = np.repeat(np.repeat(some, tile_rows, axis=0), tile_cols, axis=1)
    same(any_tile.refine(tile_rows, tile_cols), fine)
    same(any_tile.refine(tile_rows, tile_cols, *mask.shape), fine[: mask.rows, : mask.cols])
    if tile_rows == tile_cols:
        assert mask.coarsen(tile_rows) == (full, partial)


@given(st.lists(masks(), max_size=4), sides)
def test_packing(parts, cols):
    rows = np.cumsum([0, *[mask.rows for mask, _ in parts]])
    ends = np.cumsum([0, *[mask.cols for mask, _ in parts]])
    packed = np.zeros((rows[-1], ends[-1]), bool)
    for i, (_, dense) in enumerate(parts):
        packed[rows[i] : rows[i + 1], ends[i] : ends[i + 1]] = dense
    same(Mask.concat([mask for mask, _ in parts]), packed)
    resized = [np.resize(dense, (len(dense), cols)) if dense.size else np.zeros((len(dense), cols), bool) for _, dense in parts]
    if parts:
        same(Mask.stack([Mask.from_dense(dense) for dense in resized]), np.concatenate(resized))


@given(masks(), st.integers(1, 7), st.integers(1, 7))
def test_raster(pair, height, width):
    mask, dense = pair
    counts = mask.raster(height, width)
    assert counts.shape == (height, width)
    assert counts.dtype == np.uint64
    for i in range(height):
        for j in range(width):
            r0, r1 = i * mask.rows // height, (i + 1) * mask.rows // height
            c0, c1 = j * mask.cols // width, (j + 1) * mask.cols // width
            assert counts[i, j] == dense[r0:r1, c0:c1].sum()
    r, c = mask.rows // 3, mask.cols // 2
    if r and c:
        assert mask.raster(1, 1, rows=(r, mask.rows), cols=(0, c))[0, 0] == dense[r:, :c].sum()


@given(masks(), st.data())
def test_growing(pair, data):
    mask, dense = pair
    kept = [(mask, dense)]
    for _ in range(data.draw(st.integers(1, 6))):
        mask, dense = data.draw(st.sampled_from(kept))  # often an older one: each keeps what it has
        cols = mask.cols + data.draw(st.integers(0, 3))
        row = data.draw(st.lists(st.integers(0, cols - 1), unique=True).map(sorted)) if cols else []
        wide = np.zeros((len(dense) + 1, cols), bool)
        wide[:-1, : mask.cols] = dense
        wide[-1, row] = True
        as_mask = data.draw(st.booleans())
        kept.append((mask.append_rows(Mask.from_rows([row], cols) if as_mask else [row], cols=cols), wide))
    for grown, cells in kept:
        same(grown, cells)
        assert Mask.frombytes(grown.tobytes()) == Mask.from_dense(cells)


def test_structure_goes_on():
    mask = Mask.parse("causal & (sink(2) | window(4))", 10)
    for side in range(11, 40):
        mask = mask.extend(1, cols=side)
        same(mask, Mask.parse("causal & (sink(2) | window(4))", side).to_dense())
    assert mask.extend(0) == mask
