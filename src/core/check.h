/* SPDX-License-Identifier: Apache-2.0
 * Distrust of flat buffers. */
#ifndef ROARMASK_CORE_CHECK_H
#define ROARMASK_CORE_CHECK_H

#include "core/mask.h"

/* Checks that `num_bytes` bytes begin with the header of a mask that takes exactly that many, and copies it. */
rmask_status rmask_check_header(const void *data, size_t num_bytes, rmask_header *header, rmask_error *error);

/* Checks everything behind the header of a mask whose header has been checked. */
rmask_status rmask_check_sections(const rmask *mask, rmask_error *error);

#endif
