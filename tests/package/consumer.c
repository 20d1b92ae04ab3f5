/* SPDX-License-Identifier: Apache-2.0
 * What a stranger writes first: it prints the version of the library that it runs with. */
#include <roarmask/roarmask.h>
#include <stdio.h>

int main(void)
{
    rmask *mask;
    if (rmask_parse("causal", 100, 100, NULL, &mask, NULL) != RMASK_OK || rmask_count(mask) != 5050) return 1;
    rmask_release(mask);
    return puts(rmask_version()) < 0;
}
