/* SPDX-License-Identifier: Apache-2.0
 * The exceptions' half of transposing. */
#ifndef ROARMASK_CORE_TRANSPOSE_H
#define ROARMASK_CORE_TRANSPOSE_H

#include "core/draft.h"

/* Puts the exceptions of a mask, whose rows are trusted, into a draft of the transposed grid. The balance is left to the caller. */
rmask_status rmask_transpose_exceptions(rmask_draft *draft, const rmask *mask);

#endif
