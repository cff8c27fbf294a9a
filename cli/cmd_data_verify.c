/* vesal data verify: is a data set what its manifest says it is? Checksums, readable headers, grids, duplicates. */
#include <stdio.h>

#include "cli/cli.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "io/manifest.h"
#include "io/path.h"

typedef struct Job {
    const VslManifest *manifest;
    VslRowReport *reports;
    VslStatus *ends; /* per row: a failure of ours, not of the data */
} Job;

static void verify_row(void *ctx, int64_t row, int worker)
{
    Job *job = ctx;
    (void)worker;
    /* a stop or an earlier failure of memory leaves the remaining rows alone */
    if (cli_check_stop() == VSL_OK) {
        job->ends[row] = vsl_manifest_verify_row(&job->reports[row], job->manifest, row);
    }
}

static json_t *row_json(const VslManifest *m, int64_t row, const VslRowReport *report)
{
    json_t *out = json_pack("{s:s,s:s,s:b,s:b}", "file", m->table.cell[row * m->table.columns + m->file], "status",
                            vsl_row_status_name(report->status), "checksum_compared", report->has_checksum,
                            "grid_compared", report->has_grid);
    if (report->sentence[0]) {
        json_object_set_new(out, "found", json_string(report->sentence));
    }
    return out;
}

static VslStatus run(Cli *cli, void *args)
{
    VslStatus st = VSL_OK;
    (void)args;
    VslManifest m = {0};
    Job job = {&m, NULL, NULL};
    int64_t faults = 0, checksums = 0;
    json_t *rows = json_array();
    VSL_TRY(vsl_manifest_read(&m, cli->inputs[0]));
    VSL_TRY(VSL_NEW0(&job.reports, m.table.rows + 1, "the report of a manifest"));
    VSL_TRY(VSL_NEW0(&job.ends, m.table.rows + 1, "the report of a manifest"));
    vsl_parallel_for(m.table.rows, cli->threads, verify_row, &job);
    VSL_TRY(cli_check_stop());
    for (int64_t row = 0; row < m.table.rows; row++) {
        const VslRowReport *report = &job.reports[row];
        if (job.ends[row] != VSL_OK) { /* the sentence is on the thread that failed: ask again here */
            VSL_TRY(vsl_manifest_verify_row(&job.reports[row], &m, row));
        }
        faults += report->status != VSL_ROW_OK;
        checksums += report->has_checksum;
        if (!cli->wants_json && (report->status != VSL_ROW_OK || cli->is_verbose)) {
            printf("%-18s %s%s%s\n", vsl_row_status_name(report->status),
                   vsl_path_text(m.table.cell[row * m.table.columns + m.file]).text, report->sentence[0] ? ": " : "",
                   report->sentence);
        }
        json_array_append_new(rows, row_json(&m, row, report));
    }
    if (!cli->wants_json) {
        printf("%lld files listed, %lld checksums compared, %lld faults\n", (long long)m.table.rows,
               (long long)checksums, (long long)faults);
    }
    cli->result = json_pack("{s:I,s:I,s:I,s:O}", "files", (json_int_t)m.table.rows, "checksums_compared",
                            (json_int_t)checksums, "faults", (json_int_t)faults, "rows", rows);
    VSL_CHECK(faults == 0, VSL_E_FORMAT, "%lld of %lld files are not what %s says", (long long)faults,
              (long long)m.table.rows, vsl_path_text(cli->inputs[0]).text);
out:
    json_decref(rows);
    vsl_free(job.reports);
    vsl_free(job.ends);
    vsl_manifest_free(&m);
    return st;
}

const CliVerb cli_verb_data_verify = {
    .name = "data verify",
    .purpose = "check a data set against its manifest: checksums, readable headers, grids, duplicates.",
    .inputs = "MANIFEST",
    .min_inputs = 1,
    .max_inputs = 1,
    .notes = "The manifest is a tab-separated table with the columns file and sha256; shape, voxel_size_mm and dtype "
             "are compared when given. Faulty files are listed (all files with -v); any fault ends with exit code 3.",
    .example = "vesal data verify MANIFEST.tsv",
    .run = run,
};
