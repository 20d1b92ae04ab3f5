/* SPDX-License-Identifier: Apache-2.0
 * Telling the caller how far long work is. */
#ifndef ROARMASK_ATLAS_PROGRESS_H
#define ROARMASK_ATLAS_PROGRESS_H

#include "core/status.h"
#include "roarmask/atlas.h"

static inline rmask_status rmask_report(const rmask_progress *progress, uint64_t done, uint64_t total, rmask_error *error)
{
    if (!progress || progress->report(progress->context, done, total) == 0) return RMASK_OK;
    return rmask_fail(error, RMASK_ERR_STOPPED, "stopped by the caller after %llu of %llu steps", (unsigned long long)done,
                      (unsigned long long)total);
}

#endif
