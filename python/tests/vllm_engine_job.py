# SPDX-License-Identifier: Apache-2.0
"""One engine's life for test_vllm_engine.py: a line of JSON as argument, and a line of results among those that vLLM prints."""

import json
import sys

import psutil
from prometheus_client import generate_latest
from vllm import LLM, SamplingParams


def main() -> None:
    job = json.loads(sys.argv[1])
    llm = LLM(**job["engine"])
    parameters = SamplingParams(temperature=0, ignore_eos=True, logprobs=0, **job["sampling"])
    results = []
    for prompts in job["rounds"]:
        for output in llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], parameters):
            of_prompt = []
            if output.prompt_logprobs is not None:
                known = zip(output.prompt_token_ids[1:], output.prompt_logprobs[1:], strict=True)
                of_prompt = [entry[token].logprob for token, entry in known]
            completion = output.outputs[0]
            of_output = [entry[token].logprob for token, entry in zip(completion.token_ids, completion.logprobs, strict=True)]
            results.append([list(completion.token_ids), of_prompt, of_output])
    preemptions = sum(metric.value for metric in llm.get_metrics() if metric.name == "vllm:num_preemptions")
    # The worker's too: which processes have the engine of masks in memory.
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    has_masks = any("/roarmask/_core" in mapping.path for process in processes for mapping in process.memory_maps())
    print("RESULTS " + json.dumps([results, preemptions, generate_latest().decode(), has_masks]))


if __name__ == "__main__":
    main()
