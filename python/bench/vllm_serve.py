# SPDX-License-Identifier: Apache-2.0
"""`make vllm`: what masks do for a person who serves a model. Starts `vllm serve` on loopback without the flag, with a mask of all cells,
with masks and with a policy, one after the other, asks each for the same, checks the answers, prints tables and writes report/vllm.json."""

# It is not called vllm.py: python puts a program's folder before all others, and vllm_attention.py beside it imports vllm.

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import math
import os
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import vllm_table
from machine import machine

TEXTS = [Path(".deps/text/debian-faq.en.txt"), Path(".deps/text/GPL-3")]  # scripts/setup.sh text
BLOCK_SIZE = 32  # of the cache, and of the masks: cells of whole cache blocks leave both ways of computing them open
MASKS = json.dumps({"block": BLOCK_SIZE, "default": "sink(2) | window(11)"})  # a tenth of causal attention at 8k
POLICY = json.dumps({"block": BLOCK_SIZE, "default": "sink(1) | window(2) | quest(6)"})  # about as much, by what the queries look at
ALL_CELLS = json.dumps({"block": BLOCK_SIZE, "default": "full"})
DENSE, FULL, MASKED, CHOSEN = "dense", "all cells", "masks", "policy"


class BenchError(Exception):
    """What stopped the run, in one line or with the end of a server's log."""


@dataclass(frozen=True)
class Answer:
    """One request's: seconds to its first token, seconds for each token after it, token numbers."""

    first: float
    each: float
    tokens: list[int]


@dataclass(frozen=True)
class Guesses:
    """What a model says to a text: log-probabilities of its tokens from the second on, and the token it would have chosen for each."""

    logprobs: list[float]
    choices: list[int]

    @property
    def perplexity(self) -> float:
        return math.exp(-statistics.fmean(self.logprobs))


class Tree:
    """A process and all that it has started."""

    def __init__(self, root: int) -> None:
        self.root = root

    def processes(self) -> list[int]:
        parents: dict[int, int] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                # The name, in brackets, may have spaces in it.
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        found = [self.root]
        for process in found:  # grows meanwhile
            found += [child for child, parent in parents.items() if parent == process]
        return found

    def resident(self) -> int:
        """Bytes of memory; pages that its processes share are counted once."""
        total = 0
        for process in self.processes():
            with contextlib.suppress(OSError, StopIteration):
                lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
                total += 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total

    def has_loaded(self, part: str) -> bool:
        for process in self.processes():
            with contextlib.suppress(OSError):
                if part in Path(f"/proc/{process}/maps").read_text():
                    return True
        return False


class Server:
    """`serve` on a free port of loopback; a context, at whose end it has stopped."""

    def __init__(self, args: argparse.Namespace, masks: str | None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        context = max(args.lengths) + args.tokens
        options = {
            "--served-model-name": "m",
            "--host": "127.0.0.1",
            "--port": self.port,
            "--dtype": "float32",
            "--max-model-len": context,
            "--block-size": BLOCK_SIZE,
            "--kv-cache-memory-bytes": kv_cache_bytes(args.model, context, max(args.at_once)),
        }
        # No prefix caching: a prompt of the second kind of load must not find what the first has left.
        command = ["-m", "roarmask_vllm", "serve", str(args.model), *(str(word) for item in options.items() for word in item)]
        command += ["--enforce-eager", "--no-enable-prefix-caching"]
        command += [] if masks is None else [f"--use-roaring-attention-masks={masks}"]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
        environment |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(args.threads)}
        self.limit = args.limit
        self.command = shlex.join(["python", *command])
        self.log = tempfile.NamedTemporaryFile("w+", prefix="roarmask-serve-", suffix=".log")  # noqa: SIM115 (closed in __exit__)
        self.start = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *command], env=environment, stdout=self.log, stderr=self.log, start_new_session=True
        )
        self.tree = Tree(self.process.pid)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.log.close()

    def stop(self) -> None:
        """Asked to, and killed after half a minute, with everything it has started."""
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=30)
        with contextlib.suppress(ProcessLookupError):
            # What is still there of its session.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait(self, limit: float) -> float:
        """Seconds until it answered."""
        while (taken := time.monotonic() - self.start) < limit:
            if self.process.poll() is not None:
                raise BenchError(f"{self.command} ended:\n{Path(self.log.name).read_text()[-3000:]}")
            with contextlib.suppress(OSError, BenchError):
                self.ask("/health", patience=5)
                return taken
            time.sleep(0.5)
        raise BenchError(f"{self.command} does not answer after {limit:.0f} s:\n{Path(self.log.name).read_text()[-3000:]}")

    def open(self, path: str, body: dict[str, Any] | None = None, patience: float | None = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience or self.limit)
        data = None if body is None else json.dumps({"model": "m", "temperature": 0, **body})
        connection.request("GET" if body is None else "POST", path, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise BenchError(f"{path}: {response.status} {response.read()[:500]!r}")
        return response

    def ask(self, path: str, body: dict[str, Any] | None = None, patience: float | None = None) -> str:
        return self.open(path, body, patience).read().decode()

    def complete(self, prompt: list[int], tokens: int) -> Answer:
        """The likeliest tokens after a prompt, as they come."""
        body = {"prompt": prompt, "max_tokens": tokens, "ignore_eos": True, "stream": True, "return_token_ids": True}
        begin, first, last, given = time.perf_counter(), 0.0, 0.0, list[int]()
        for line in self.open("/v1/completions", body):
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[len(b"data: ") :])
            if "error" in event:
                raise BenchError(f"a request failed: {event['error']}")
            new = [token for choice in event["choices"] for token in choice.get("token_ids") or ()]
            if new:
                last = time.perf_counter() - begin
                first = first or last
                given += new
        if len(given) != tokens:
            raise BenchError(f"{len(given)} tokens came of {tokens}")
        return Answer(first, (last - first) / max(1, tokens - 1), given)

    def guesses(self, prompt: list[int]) -> Guesses:
        body = {"prompt": prompt, "max_tokens": 1, "prompt_logprobs": 1}
        told = json.loads(self.ask("/v1/completions", body))["choices"][0]["prompt_logprobs"]
        logprobs, choices = [], []
        for token, of_token in zip(prompt[1:], told[1:], strict=True):
            logprobs.append(float(of_token[str(token)]["logprob"]))
            choices.append(next(int(number) for number, known in of_token.items() if known["rank"] == 1))
        return Guesses(logprobs, choices)

    def metrics(self) -> dict[str, float]:
        return sums(self.ask("/metrics"))


def sums(text: str) -> dict[str, float]:
    """What Prometheus reads, added up over labels (layers, engines); roarmask's own and vLLM's counts of tokens and preemptions."""
    wanted = ("roarmask:", "vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:num_preemptions_total")
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith(wanted):
            name, value = line.rsplit(" ", 1)
            name = name.partition("{")[0]
            found[name] = found.get(name, 0.0) + float(value)
    return found


def kv_cache_bytes(model: Path, context: int, at_once: int) -> int:
    """Room for that many contexts of a checkpoint in float32, and a block each."""
    config = json.loads((model / "config.json").read_text())
    heads = config["num_attention_heads"]
    dim = config.get("head_dim") or config["hidden_size"] // heads
    token = 4 * 2 * config["num_hidden_layers"] * (config.get("num_key_value_heads") or heads) * dim
    return int(token * (context + 2 * BLOCK_SIZE) * at_once)


@contextlib.contextmanager
def highest_resident(tree: Tree, into: dict[str, Any]) -> Iterator[None]:
    """The most memory meanwhile, looked at every other second: looking takes the kernel some milliseconds a gigabyte."""
    done = threading.Event()
    seen = [tree.resident()]

    def look() -> None:
        while not done.wait(2):
            seen.append(tree.resident())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        into["peak"] = max(seen)


def say(begin: float, text: str) -> None:
    print(f"{time.monotonic() - begin:4.0f} s  {text}", file=sys.stderr, flush=True)


def prompts_of(tokens: list[int], length: int, number: int) -> list[list[int]]:
    """Different pieces of a text, which overlap where it is too short for all."""
    if len(tokens) < length + number:
        raise BenchError(f"the text has {len(tokens)} tokens: too few for {number} prompts of {length}; name longer ones with --text")
    step = min(length, (len(tokens) - length) // max(1, number - 1))
    return [tokens[k * step : k * step + length] for k in range(number)]


class Plan:
    """The kinds of load, and how long they will take by how long those that are done have taken.

    Attributes:
        loads: (tokens, at once), the shortest first.
        left_out: what there is no time for.
    """

    # Of a token of an answer, in those of a prompt: it is one of a batch, and they come by hundreds.
    ANSWER = 15
    # Tokens at which a prompt's dense attention takes as long as the rest of the model: of SmolLM2.
    EVEN = 6600
    # Of a server's start and of its perplexities, in seconds and in requests.
    START, GUESSES = 40, 1

    def __init__(self, loads: list[tuple[int, int]], tokens: int, limit: float, servers: list[str]) -> None:
        self.loads, self.tokens, self.limit, self.servers = sorted(loads), tokens, limit, servers
        self.left_out: list[tuple[int, int]] = []
        self.done, self.spent = 0.0, 0.0

    def work(self, name: str, load: tuple[int, int]) -> float:
        """In tokens of a short prompt."""
        length, at_once = load
        return at_once * (length * (1 + length / self.EVEN * (name in (DENSE, FULL))) + self.ANSWER * self.tokens)

    def took(self, name: str, load: tuple[int, int], seconds: float) -> None:
        self.done += self.work(name, load)
        self.spent += seconds

    def seconds_to_go(self, name: str, done: Iterable[tuple[int, int]]) -> float:
        """Of all servers from this one on; 0 before anything is known."""
        if not self.done:
            return 0
        servers = self.servers[self.servers.index(name) :]
        least = min(at_once for _, at_once in self.loads)
        work = -sum(self.work(name, load) for load in done)
        for server in servers:
            work += sum(self.work(server, load) for load in self.loads if server != FULL or load[1] == least)
            if server != FULL:
                work += sum(self.work(server, (length, self.GUESSES)) for length in {length for length, _ in self.loads})
        return work * self.spent / self.done + self.START * (len(servers) - 1)

    def leave_out(self, elapsed: float, done: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Gives up the largest loads that are not done, without the flag, until the rest fits; returns them."""
        given_up = []
        done = set(done)
        while elapsed + self.seconds_to_go(DENSE, done) > self.limit:
            open_loads = [load for load in self.loads if load not in done]
            # One load is what there is a report for.
            if len(open_loads) + len(done) <= 1 or not open_loads:
                break
            largest = max(open_loads, key=lambda load: self.work(DENSE, load))
            self.loads.remove(largest)
            given_up.append(largest)
        self.left_out += given_up
        return given_up


class Run:
    """What the servers are asked for, and what they have answered so far."""

    def __init__(self, args: argparse.Namespace, tokens: list[int]) -> None:
        self.args, self.begin = args, time.monotonic()
        # What the flag is given, None for no flag, of each server.
        self.servers = {DENSE: None, FULL: ALL_CELLS, MASKED: args.masks, CHOSEN: args.policy}
        if args.policy == "none":
            del self.servers[CHOSEN]
        loads = [(length, k) for length in args.lengths for k in args.at_once]
        self.plan = Plan(loads, args.tokens, 60 * args.minutes, list(self.servers))
        self.prompts = {length: prompts_of(tokens, length, max(args.at_once)) for length in args.lengths}
        self.answers: dict[str, dict[tuple[int, int], list[Answer]]] = {}
        self.guesses: dict[str, dict[int, Guesses]] = {}

    def drive(self, name: str, masks: str | None) -> dict[str, Any]:
        say(self.begin, f"{name}: starting a server")
        with Server(self.args, masks) as server:
            told: dict[str, Any] = {"command": server.command, "load_before": os.getloadavg()[0]}
            told["start"] = server.wait(self.args.start_limit)
            resident: dict[str, Any] = {"ready": server.tree.resident()}
            told |= {"loaded_roarmask": server.tree.has_loaded("/roarmask/_"), "resident": resident}
            server.complete(self.prompts[min(self.args.lengths)][0][:500], 4)  # what runs for the first time takes longer
            before = server.metrics()
            with highest_resident(server.tree, resident):
                told["loads"] = list(self.loads(server, name))
            after = server.metrics()
            # Gauges stay as they are; of counters what this load has added.
            told["metrics"] = {key: after[key] - before.get(key, 0) * key.endswith("_total") for key in after}
            if name != FULL:
                self.guesses[name] = {}
                for length in sorted({length for length, _ in self.plan.loads}):
                    say(self.begin, f"{name}: perplexity of {length} tokens")
                    self.guesses[name][length] = server.guesses(self.prompts[length][0])
                told["perplexity"] = {str(length): guesses.perplexity for length, guesses in self.guesses[name].items()}
            told["load_after"] = os.getloadavg()[0]
        return told

    def loads(self, server: Server, name: str) -> Iterator[dict[str, Any]]:
        """Without the flag what there is time for, and then the same."""
        plan, done = self.plan, set[tuple[int, int]]()
        # Of the mask of all cells only the tokens count.
        asked = [load for load in plan.loads if name != FULL or load[1] == min(self.args.at_once)]
        for load in asked:
            if name == DENSE:
                for left_out in plan.leave_out(time.monotonic() - self.begin, done):
                    say(self.begin, "left out, to be done in time (--minutes): {} tokens, {} at once".format(*left_out))
                if load not in plan.loads:
                    continue
            begin = time.monotonic()
            togo = plan.seconds_to_go(name, done)
            say(self.begin, f"{name}: {load[0]} tokens, {load[1]} at once" + (f"; about {togo / 60:.0f} min to go" if togo else ""))
            yield self.load(server, name, *load)
            done.add(load)
            plan.took(name, load, time.monotonic() - begin)

    def load(self, server: Server, name: str, length: int, at_once: int) -> dict[str, Any]:
        begin = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            try:
                answers = list(pool.map(lambda prompt: server.complete(prompt, self.args.tokens), self.prompts[length][:at_once]))
            except BaseException:
                # The pool is going to wait for its threads, and they wait for the server.
                server.stop()
                raise
        seconds = time.perf_counter() - begin
        self.answers.setdefault(name, {})[length, at_once] = answers
        return {
            "tokens": length,
            "at_once": at_once,
            "first": [answer.first for answer in answers],
            "each": [answer.each for answer in answers],
            "seconds": seconds,
            "throughput": at_once * (length + self.args.tokens) / seconds,
        }

    def checks(self) -> dict[str, Any]:
        """Greedy tokens beside those of the server without the flag, asked for the same in the same company."""
        found: dict[str, Any] = {}
        dense = self.answers[DENSE]
        for name in self.servers:
            if name == DENSE:
                continue
            pairs = [pair for load, ours in self.answers[name].items() for pair in zip(ours, dense[load], strict=True)]
            same = sum(x == y for a, b in pairs for x, y in zip(a.tokens, b.tokens, strict=True))
            found[name] = {"tokens": sum(len(a.tokens) for a, _ in pairs), "identical": same}
            if name in self.guesses:
                ours, theirs = self.guesses[name], self.guesses[DENSE]
                choices = [(x, y) for length in ours for x, y in zip(ours[length].choices, theirs[length].choices, strict=True)]
                found[name] |= {"choices": len(choices), "identical_choices": sum(x == y for x, y in choices)}
        return found


def numbers(text: str) -> list[int]:
    found = [int(part) for part in text.split(",")]
    if min(found) < 1:
        raise ValueError
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python python/bench/vllm_serve.py", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="prompts of 500 and 1000 tokens, 1 and 2 at once: two and a half minutes")
    parser.add_argument("--model", type=Path, default=Path("models/smollm2"), help="a checkpoint; the default is made where missing")
    parser.add_argument("--masks", default=MASKS, metavar="CONFIG", help="what the flag is given (default: %(default)s)")
    parser.add_argument(
        "--policy", default=POLICY, metavar="CONFIG", help="the same for a fourth server; none for no such (default: %(default)s)"
    )
    parser.add_argument("--lengths", type=numbers, default=[2000, 4000, 8000], help="of prompts, in tokens (default: 2000,4000,8000)")
    parser.add_argument("--at-once", type=numbers, default=[1, 2, 4, 8], help="requests at a time (default: 1,2,4,8)")
    parser.add_argument("--tokens", type=int, default=64, help="asked for after each prompt (default: %(default)s)")
    parser.add_argument("--text", type=Path, action="append", help=f"of the prompts, any number (default: {', '.join(map(str, TEXTS))})")
    cores = max(1, (os.cpu_count() or 1) - 1)
    parser.add_argument("--threads", type=int, default=cores, help="of the model (default: all cores but one, %(default)s here)")
    parser.add_argument(
        "--minutes", type=float, default=30, help="leave out the largest loads where all take longer (default: %(default)s)"
    )
    parser.add_argument("--start-limit", type=float, default=300, help="most seconds for a server to start (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=900, help="most seconds without a byte of an answer (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder for vllm.json (default: %(default)s)")
    parser.add_argument("--page", action="store_true", help="only print the table anew from vllm.json")
    args = parser.parse_args()
    if args.quick:
        args.lengths, args.at_once, args.tokens = [500, 1000], [1, 2], 32
    return args


def prepare(args: argparse.Namespace) -> list[int]:
    """The tokens of the texts; the model is there then."""
    texts = args.text or TEXTS
    for text in texts:
        if not text.exists():
            raise BenchError(f"there is no text {text}: scripts/setup.sh text fetches the default ones, --text names another")
    if not (args.model / "config.json").exists():
        print(f"making {args.model}", file=sys.stderr)
        if subprocess.run([sys.executable, "-m", "roarmask.model", "--out", args.model], stdout=sys.stderr, check=False).returncode:
            raise BenchError(f"there is no model {args.model}")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    return [token for text in texts for token in tokenizer.encode(text.read_text()).ids]


def measure(args: argparse.Namespace) -> dict[str, Any]:
    run = Run(args, prepare(args))
    report: dict[str, Any] = {
        "command": shlex.join(["python", "python/bench/vllm_serve.py", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        "machine": {**machine(), **{name: version(name) for name in ("vllm-cpu", "transformers")}},
        "model": str(args.model),
        "masks": args.masks,
        "policy": args.policy,
        "threads": args.threads,
        "tokens": args.tokens,
    }
    report["servers"] = {name: run.drive(name, masks) for name, masks in run.servers.items()}
    report["checks"] = run.checks()
    report["left_out"] = run.plan.left_out
    report["seconds"] = time.monotonic() - run.begin
    return report


def main() -> None:
    args = arguments()
    # So that servers are stopped then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    told = args.out / "vllm.json"
    try:
        if args.page:
            report = json.loads(told.read_text())
        else:
            report = measure(args)
            args.out.mkdir(parents=True, exist_ok=True)
            told.write_text(json.dumps(report, indent=1))
            print(told, file=sys.stderr)
    except (BenchError, ImportError, OSError) as error:  # vLLM's environment is another
        sys.exit(f"vllm: {error}")
    print(vllm_table.draw(report))
    if wrong := vllm_table.failures(report):
        sys.exit("vllm: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
