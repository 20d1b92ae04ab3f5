# SPDX-License-Identifier: Apache-2.0
"""exchange.py ROARMASK: every file goes from Python through `roarmask convert` and back, and has the same cells."""
import os
import subprocess
import sys
import tempfile

import numpy as np
import scipy.io
import scipy.sparse
from pyroaring import BitMap, BitMap64

roarmask = os.path.abspath(sys.argv[1])


def convert(source, target, *options):
    done = subprocess.run([roarmask, "convert", source, target, *options], capture_output=True, text=True)
    assert done.returncode == 0, f"convert {source} {target}: {done.stderr}"


def bitmap(cells, optimize):
    """The mask as one Roaring bitmap: 32-bit up to 65,536 on both sides, 64-bit beyond."""
    rows, cols = np.nonzero(cells)
    narrow = max(cells.shape) <= 65536
    made = (BitMap if narrow else BitMap64)((rows.astype(np.uint64) << np.uint64(16 if narrow else 32) | cols.astype(np.uint64)).tolist())
    if optimize:
        made.run_optimize()
    return made


def write(name, cells):
    """Files as Python writes them, each with a name that says how."""
    sparse = scipy.sparse.csr_matrix(cells)
    for dtype in ("bool", "<i2", ">i4", "u8", "<f2", ">f8"):
        path = f"{name}-{dtype.strip('<>')}"
        np.save(f"{path}.npy", cells.astype(dtype))
        np.save(f"{path}-f.npy", np.asfortranarray(cells.astype(dtype)))
    for compressed in (False, True):
        scipy.sparse.save_npz(f"{name}-csr-{compressed}.npz", sparse, compressed)
        scipy.sparse.save_npz(f"{name}-coo-{compressed}.npz", sparse.tocoo(), compressed)
    scipy.sparse.save_npz(f"{name}-array.npz", scipy.sparse.csr_array(cells.astype(float)))
    shuffled = sparse.tocoo()
    order = np.random.default_rng(1).permutation(shuffled.nnz)
    shuffled = scipy.sparse.coo_matrix((shuffled.data[order], (shuffled.row[order], shuffled.col[order])), shape=cells.shape)
    scipy.sparse.save_npz(f"{name}-shuffled.npz", shuffled)
    scipy.io.mmwrite(f"{name}-real.mtx", sparse.astype(float))
    scipy.io.mmwrite(f"{name}-pattern.mtx", sparse.astype(int), field="pattern")
    for optimize in (False, True):
        with open(f"{name}-{optimize}.roaring", "wb") as file:
            file.write(bitmap(cells, optimize).serialize())


def check(mask, cells):
    """Every format as Python reads it."""
    for target, options, read in (
        ("out.npy", (), np.load),
        ("out.npz", (), lambda path: scipy.sparse.load_npz(path).toarray()),
        ("coo.npz", ("--to", "npz-coo"), lambda path: scipy.sparse.load_npz(path).toarray()),
        ("out.mtx", (), lambda path: scipy.io.mmread(path).toarray() != 0),
    ):
        convert(mask, target, *options)
        back = read(target)
        assert back.dtype == bool and back.shape == cells.shape and (back == cells).all(), f"{target} of {mask}"
    convert(mask, "out.roaring")
    with open("out.roaring", "rb") as file:
        data = file.read()
    wanted = bitmap(cells, True)
    assert type(wanted).deserialize(data) == wanted, f"out.roaring of {mask}"
    assert data == wanted.serialize(), f"out.roaring of {mask}: other bytes"


def check_odd_archives():
    """What SciPy saves but seldom: columns in no order and twice, zeros that are kept, and the names and types of other releases."""
    csr = scipy.sparse.csr_matrix(([1.0, 0.0, 2.0, 3.0, 4.0], [3, 1, 0, 0, 0], [0, 3, 5, 5]), shape=(3, 4))
    coo = csr.tocoo()
    scipy.sparse.save_npz("csr.npz", csr)
    members = {"shape": csr.shape, "data": coo.data, "format": np.array("coo")}
    np.savez("text.npz", row=coo.row.astype(">u2"), col=coo.col.astype(np.uint64), **members)
    np.savez("coords.npz", coords=np.array([coo.row, coo.col]), **members)
    np.savez("fortran.npz", coords=np.asfortranarray([coo.row, coo.col]), **members)
    for source in ("csr.npz", "text.npz", "coords.npz", "fortran.npz"):
        convert(source, "cells.npy")
        assert (np.load("cells.npy") == (csr.toarray() != 0)).all(), source

    broken = {
        "tocsr()": {"format": np.array(b"csc")},
        "format, shape or data is missing": {"format": None},
        "outside of the matrix of 3 x 4": {"indices": np.array([3, 1, 0, 4, 0])},
        "indptr goes from 3 to 6 at row 1": {"indptr": np.array([0, 3, 6, 6])},
        "indptr goes from 3 to 2 at row 1": {"indptr": np.array([0, 3, 2, 5])},
        "indptr does not begin with 0": {"indptr": np.array([1, 3, 5, 5])},
        "lengths of data, indices, indptr and shape": {"indptr": np.array([0, 5])},
        "not of integers": {"indices": np.zeros(5)},
        "shape.npy does not hold two integers": {"shape": np.array([3, 4, 5])},
        "a matrix of -3 x 4": {"shape": np.array([-3, 4])},
        "data.npy is no list": {"data": np.ones((5, 1))},
        "data.npy: not a valid .npy: Python objects": {"data": np.array([None] * 5)},
    }
    whole = {"format": np.array(b"csr"), "shape": csr.shape, "data": csr.data, "indices": csr.indices, "indptr": csr.indptr}
    for message, change in broken.items():
        np.savez("broken.npz", **{name: value for name, value in (whole | change).items() if value is not None})
        done = subprocess.run([roarmask, "convert", "broken.npz", "cells.npy"], capture_output=True, text=True)
        assert done.returncode == 1 and message in done.stderr, f"{message}: {done.stderr}"


def main():
    random = np.random.default_rng(42)
    num_files = 0
    masks = {
        "empty": np.zeros((5, 7), bool),
        "one": np.ones((1, 1), bool),
        "causal": np.tri(200, dtype=bool),
        "random": random.random((60, 90)) < 0.2,
        "wide": random.random((3, 70000)) < 0.3,
        "edge": random.random((3, 65536)) < 0.05,
        "high": random.random((70000, 3)) < 0.01,
    }
    for name, cells in masks.items():
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            write(name, cells)
            for source in sorted(os.listdir()):
                convert(source, "mask.rmask", "--rows", str(cells.shape[0]), "--cols", str(cells.shape[1]))
                os.rename("mask.rmask", f"{source}.rmask")
                convert(f"{source}.rmask", "cells.npy")
                assert (np.load("cells.npy") == cells).all(), source
                num_files += 1
            check(f"{name}-bool.npy.rmask", cells)
            os.chdir("/")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        check_odd_archives()
        os.chdir("/")
    print(f"{num_files} files of NumPy {np.__version__}, SciPy {scipy.__version__} and pyroaring read, and every format of each mask written")


main()
