# SPDX-License-Identifier: Apache-2.0
"""What a call costs from Python, beside the time of the library alone, which `roarmask bench` measures on the same mask."""

import json
import random
import subprocess
import sys
import timeit

from roarmask import Mask

REPEATS, CALLS = 15, 2000
facts = json.loads(
    subprocess.run(
        [sys.executable, "-m", "roarmask", "bench", "--preset=1m-structured", "--methods=roarmask", "--json=-"],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ).stdout
)
config, library = facts["config"], facts["methods"][0]
mask = Mask.parse(config["pattern"], config["rows"], config["cols"])
other = Mask.parse(config["other_pattern"], config["rows"], config["cols"])
# Drawn beforehand: one row asked again and again measures the branch predictor.
rows = [random.Random(42).randrange(mask.rows) for _ in range(CALLS)]
pairs = list(zip(rows, reversed(rows), strict=True))


def best(statement: str, over: str) -> float:
    """Nanoseconds a round, less those of an empty loop."""
    loops = [timeit.repeat(f"for {over}: {body}", globals=globals(), number=1, repeat=REPEATS) for body in (statement, "pass")]
    return (min(loops[0]) - min(loops[1])) / CALLS * 1e9


print(f"{'':26}{'Python':>10}{'library':>10}{'difference':>12}")
for name, statement, over, alone in (
    ("mask[r]", "mask[r]", "r in rows", library["query_ns"]),
    ("mask.intersection(r, s)", "mask.intersection(r, s)", "r, s in pairs", library["intersection_ns"]),
    ("mask & other", "mask & other", "r in rows", library["mask_and_ns"]),
):
    time = best(statement, over)
    print(f"{name:26}{time:7.0f} ns{alone:7.0f} ns{time - alone:9.0f} ns")
