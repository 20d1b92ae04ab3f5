/* SPDX-License-Identifier: Apache-2.0
 * A result as JSON. Keys are never left out: what is missing is null, and a note says why. */
#include "report.h"
#include "cli.h"

#include <roarmask/roarmask.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *cpu_name(void)
{
    static char line[256];
    const char *name = NULL;
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && !name && fgets(line, sizeof line, file))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL)
            name = strchr(line, ':') + 2;
    if (file)
        fclose(file);
    if (!name)
        return "unknown";
    line[strcspn(line, "\n")] = '\0';
    return name;
}

const char *report_machine(void)
{
    static char text[512];
    const char *croaring = bench_croaring_version();
    snprintf(text, sizeof text, "roarmask %s, simd %s, CRoaring %s, on %s", rmask_version(), rmask_simd_tier(),
             croaring ? croaring : "not built in", cpu_name());
    return text;
}

void report_add_machine(json_t *object)
{
    const char *croaring = bench_croaring_version();
    json_object_set_new(object, "versions", json_pack("{s:s, s:s?, s:s}", "roarmask", rmask_version(), "croaring", croaring,
                                                      "compiler", __VERSION__));
    json_object_set_new(object, "simd", json_string(rmask_simd_tier()));
    json_object_set_new(object, "cpu", json_string(cpu_name()));
}

json_t *report_ns(double ns)
{
    return isnan(ns) ? json_null() : json_real(floor(ns * 10 + 0.5) / 10);
}

static json_t *size_or_null(size_t num_bytes)
{
    return num_bytes ? json_integer((json_int_t)num_bytes) : json_null();
}

static json_t *config_json(const struct bench_config *config, const struct bench_result *result)
{
    bool published = config->sparsity >= 0;
    json_t *object =
        json_pack("{s:s?, s:o, s:o, s:i, s:i, s:i, s:i, s:I, s:f, s:i, s:s}", "preset", config->preset, "pattern",
                  cli_json_text(config->expression), "other_pattern", cli_json_text(config->other), "rows", (int)config->num_blocks, "cols",
                  (int)config->num_blocks, "num_blocks", (int)config->num_blocks, "queries", (int)config->effort.queries,
                  "seed", (json_int_t)config->seed, "min_seconds", config->effort.min_seconds, "min_rounds",
                  config->effort.min_rounds, "reference", result->reference);
    json_object_set_new(object, "window_size", published ? json_integer(config->window_size) : json_null());
    json_object_set_new(object, "global_tokens", published ? json_integer(config->global_tokens) : json_null());
    json_object_set_new(object, "sparsity", published ? json_real(config->sparsity) : json_null());
    report_add_machine(object);
    return object;
}

static json_t *method_json(const struct bench_method_result *result, bool with_round_trip)
{
    json_t *object = json_pack("{s:s, s:o}", "name", result->method->name, "memory_bytes", size_or_null(result->memory_bytes));
    for (int op = 0; op < BENCH_NUM_OPS; op++)
        if (op != BENCH_ROUND_TRIP || with_round_trip)
            json_object_set_new(object, bench_op_keys[op], report_ns(result->ns[op]));
    json_object_set_new(object, "measured", json_boolean(result->measured));
    json_object_set_new(object, "formula_memory_bytes", size_or_null(result->formula_bytes));
    json_object_set_new(object, "serialized_bytes", size_or_null(result->serialized_bytes));
    json_object_set_new(object, "note", result->note[0] ? json_string(result->note) : json_null());
    return object;
}

json_t *report_json(const struct bench_config *config, const struct bench_result *result)
{
    json_t *methods = json_array();
    for (int i = 0; i < result->num_methods; i++)
        json_array_append_new(methods, method_json(&result->methods[i], config->effort.round_trip));
    return json_pack("{s:o, s:I, s:f, s:I, s:o, s:o}", "config", config_json(config, result), "nnz", (json_int_t)result->nnz,
                     "density", result->density, "entropy_bytes", (json_int_t)ceil(result->entropy_bytes), "memcpy_ns",
                     report_ns(result->memcpy_ns), "methods", methods);
}
