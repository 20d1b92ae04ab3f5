/* SPDX-License-Identifier: Apache-2.0
 *
 * roarmask atlas info: what is in an atlas, in all and layer by layer. */
#include "atlas.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static error_t parse_json(int key, char *argument, struct argp_state *state)
{
    if (key != 'j')
        return ARGP_ERR_UNKNOWN;
    *(const char **)state->input = argument;
    return 0;
}

static const struct argp info_argp = {
    .options = (const struct argp_option[]){{"json", 'j', "FILE", 0, "write JSON too; - prints it in place of text", 0}, {0}},
    .parser = parse_json,
    .args_doc = "FILE",
    .doc = "Print an atlas's entries, masks, bytes and what sharing saves, and for each layer its densities and how much its "
           "heads overlap: the mean Jaccard overlap of all pairs of heads."
           "\vExample:\n  roarmask atlas info model.ratlas",
};

/* What is known of an atlas. */
struct facts {
    const rmask_atlas *atlas;
    rmask_atlas_stats all;
    rmask_atlas_stats *layers;
    double *overlaps; /* of each layer */
    uint64_t num_bytes, table_bytes;
};

static int report(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    cli_progress("comparing the heads of layer", done, total);
    return 0;
}

/* Where the first mask begins: everything before it is tables. */
static uint64_t get_table_bytes(const rmask_atlas *atlas, uint64_t num_bytes)
{
    size_t mask_bytes;
    const char *data = rmask_atlas_data(atlas, &mask_bytes);
    const rmask *first = rmask_atlas_distinct(atlas, 0);
    return first == NULL ? num_bytes : (uint64_t)((const char *)rmask_data(first, &mask_bytes) - data);
}

static struct facts get_facts(const rmask_atlas *atlas)
{
    int32_t layers = rmask_atlas_layers(atlas);
    struct facts facts = {.atlas = atlas};
    size_t num_bytes;
    rmask_error error;
    const rmask_progress progress = {report, NULL};
    (void)rmask_atlas_data(atlas, &num_bytes);
    facts.num_bytes = num_bytes;
    facts.table_bytes = get_table_bytes(atlas, num_bytes);
    facts.layers = cli_alloc((size_t)layers, sizeof *facts.layers);
    facts.overlaps = cli_alloc((size_t)layers, sizeof *facts.overlaps);
    cli_check(rmask_atlas_get_stats(atlas, 0, layers, &facts.all, &error), &error, NULL);
    for (int32_t i = 0; i < layers; i++)
        cli_check(rmask_atlas_get_stats(atlas, i, i + 1, &facts.layers[i], &error), &error, NULL);
    cli_check(rmask_atlas_overlaps(atlas, facts.overlaps, &progress, &error), &error, NULL);
    return facts;
}

/* ---------------------------------------------------------------- JSON */

static json_t *json_count(uint64_t count)
{
    return count <= INT64_MAX ? json_integer((json_int_t)count) : json_real((double)count);
}

static json_t *stats_to_json(const rmask_atlas_stats *stats)
{
    return json_pack("{so so sI so sf sf sf so so}",
                     "entries", json_count(stats->num_entries), "dense", json_count(stats->num_dense),
                     "masks", (json_int_t)stats->num_masks, "nnz", json_count(stats->num_cells),
                     "density_min", stats->density_min, "density_mean", stats->density_mean, "density_max", stats->density_max,
                     "mask_bytes", json_count(stats->mask_bytes), "unshared_bytes", json_count(stats->unshared_bytes));
}

static json_t *layers_to_json(const struct facts *facts)
{
    json_t *layers = json_array();
    for (int32_t i = 0; i < rmask_atlas_layers(facts->atlas); i++) {
        json_t *layer = stats_to_json(&facts->layers[i]);
        json_object_set_new(layer, "overlap", json_real(facts->overlaps[i]));
        json_array_append_new(layers, layer);
    }
    return layers;
}

static json_t *to_json(const struct facts *facts)
{
    const rmask_atlas *atlas = facts->atlas;
    return json_pack("{si si si si ss so so so so}",
                     "layers", rmask_atlas_layers(atlas), "heads", rmask_atlas_heads(atlas),
                     "rows", rmask_atlas_rows(atlas), "cols", rmask_atlas_cols(atlas), "note", rmask_atlas_note(atlas),
                     "num_bytes", json_count(facts->num_bytes), "table_bytes", json_count(facts->table_bytes),
                     "total", stats_to_json(&facts->all), "per_layer", layers_to_json(facts));
}

/* ---------------------------------------------------------------- text */

/* A note may come from anywhere: it cannot make several lines or control the terminal. */
static void print_note(const char *note)
{
    if (*note == '\0')
        return;
    fputs("note         ", stdout);
    for (; *note != '\0'; note++)
        putchar((unsigned char)*note < ' ' || *note == 0x7f ? ' ' : *note);
    putchar('\n');
}

static void print_text(const struct facts *facts)
{
    const rmask_atlas *atlas = facts->atlas;
    const rmask_atlas_stats *all = &facts->all;
    printf("atlas        %d layers x %d heads\n", rmask_atlas_layers(atlas), rmask_atlas_heads(atlas));
    printf("grid         %d rows x %d columns\n", rmask_atlas_rows(atlas), rmask_atlas_cols(atlas));
    print_note(rmask_atlas_note(atlas));
    printf("entries      %" PRIu64 ", dense %" PRIu64 ", distinct masks %" PRIu32 "\n", all->num_entries, all->num_dense,
           all->num_masks);
    printf("density      %.4g%% to %.4g%%, mean %.4g%%\n", 100 * all->density_min, 100 * all->density_max,
           100 * all->density_mean);
    printf("bytes        %20" PRIu64 "\n", facts->num_bytes);
    printf("  tables     %20" PRIu64 "\n", facts->table_bytes);
    printf("  masks      %20" PRIu64 "\n", facts->num_bytes - facts->table_bytes);
    if (all->mask_bytes > 0)
        printf("unshared     %20" PRIu64 "  %.4g times the masks\n", all->unshared_bytes,
               (double)all->unshared_bytes / (double)all->mask_bytes);
    printf("%5s  %5s  %5s  %14s  %11s  %8s  %8s  %8s\n", "layer", "dense", "masks", "bytes", "density min", "mean",
           "max", "overlap");
    for (int32_t i = 0; i < rmask_atlas_layers(atlas); i++) {
        const rmask_atlas_stats *layer = &facts->layers[i];
        printf("%5d  %5" PRIu64 "  %5" PRIu32 "  %14" PRIu64 "  %10.4g%%  %7.4g%%  %7.4g%%  %8.4g\n", i, layer->num_dense,
               layer->num_masks, layer->mask_bytes, 100 * layer->density_min, 100 * layer->density_mean,
               100 * layer->density_max, facts->overlaps[i]);
    }
}

int atlas_info_main(int argc, char **argv)
{
    const char *json = NULL;
    int first = cli_parse(&info_argp, argc, argv, &json, 1, 1);
    rmask_atlas *atlas = atlas_load(argv[first]);
    struct facts facts = get_facts(atlas);
    if (json != NULL)
        cli_write_json(to_json(&facts), json);
    if (json == NULL || strcmp(json, "-") != 0)
        print_text(&facts);
    free(facts.layers);
    free(facts.overlaps);
    rmask_atlas_release(atlas);
    return 0;
}
