/* SPDX-License-Identifier: Apache-2.0
 * What the target has without asking: SSE2 or NEON, four floats at a time. */
#define TIER plain
#define WIDTH 4
#include "attention/kernels_template.h"
