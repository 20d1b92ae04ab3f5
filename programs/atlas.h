/* SPDX-License-Identifier: Apache-2.0
 *
 * What the subcommands of `roarmask atlas` share. As in cli.h, functions do what they say or end the program. */
#ifndef ROARMASK_PROGRAMS_ATLAS_H
#define ROARMASK_PROGRAMS_ATLAS_H

#include "cli.h"

#include <roarmask/atlas.h>

/* A child for a subcommand's argp that reads -o into the `const char *` in its child input. */
extern const struct argp atlas_output_argp;

/* Loads and checks an atlas. The caller releases it. */
rmask_atlas *atlas_load(const char *path);

/* Saves an atlas to `path` as cli_save does a mask. */
void atlas_save(const rmask_atlas *atlas, const char *path);

/* argv[0] is "atlas build" and so on. */
int atlas_build_main(int argc, char **argv);
int atlas_info_main(int argc, char **argv);

#endif
