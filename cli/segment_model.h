/**
 * A segmentation model out of its folder, ready for films of any size: what segment and evaluate share.
 * @test cli/segment.sh
 */
#ifndef VSL_CLI_SEGMENT_MODEL_H
#define VSL_CLI_SEGMENT_MODEL_H

#include "cli/model.h"
#include "diffusion/data.h"
#include "diffusion/segment.h"

enum { CLI_MOST_STRUCTURES = 64 };

typedef struct CliStructures { /* {0} is empty */
    char *names;               /* owner of the names */
    const char *name[CLI_MOST_STRUCTURES];
    int count;
} CliStructures;

typedef struct CliSegmenter { /* {0} is empty; not to be moved: its parts point to each other */
    CliModel model;
    VslUnetOptions unet;
    VslDiffusionOptions process;
    VslSegmentOptions options;
    VslSegmentSetup setup;
    VslDiffusion *diffusion;
    NnRuntime *rt;
    NnParams *params;
    VslSegmenter *network;
    int64_t n[3]; /* of its pictures */
    double levels[VSL_SEGMENT_TIMES];
    int level_count;
    int is_averaged; /* 1: probabilities are of all levels, 0: of the trained one, and all tell the spread */
    CliStructures structures;
    unsigned char in_one_part[CLI_MOST_STRUCTURES];
} CliSegmenter;

/** levels: "25,50,100", the noise levels to average over; NULL = no average, and half of the trained level, itself and
 * its double for the spread.
 * @return VSL_E_IO, VSL_E_FORMAT (no segmentation model, or a broken one), VSL_E_ARG (levels), VSL_E_DEVICE. */
VSL_MUST_USE VslStatus cli_segmenter_open(CliSegmenter *out, const Cli *cli, const char *folder, const char *levels);
void cli_segmenter_close(CliSegmenter *m);

/** The names of the structures, and of those that lie in one part, into a model's configuration. */
VSL_MUST_USE VslStatus cli_segment_settings_put(CliSettings *s, const char *const *structure, int structures,
                                                const unsigned char *in_one_part);

/** Those of a segmentation model's configuration; path is for sentences. @return VSL_E_FORMAT, VSL_E_NOMEM. */
VSL_MUST_USE VslStatus cli_segment_structures_get(CliStructures *out, const VslConfig *config, const char *path);
/** Of the segmentation model in a folder, and which of them it predicts in one part: 1 or left as it is.
 * @return as cli_model_read; VSL_E_FORMAT (no segmentation model). */
VSL_MUST_USE VslStatus cli_segment_structures_of(CliStructures *out, unsigned char *in_one_part, const char *folder);
void cli_segment_structures_free(CliStructures *s);

/** What is predicted for one film, on its own grid. {0} is empty. */
typedef struct CliFilm {
    VslVolume image;       /* grey */
    VslFit fit;            /* onto the network's grid */
    VslVolume probability; /* one channel a structure, on the film's grid */
    VslVolume spread;      /* likewise: sd over noise levels */
} CliFilm;
/** Reads a PNG or NIfTI image (colours are averaged) and predicts. inverted: bone is dark in it. */
VSL_MUST_USE VslStatus cli_film_predict(CliFilm *out, Cli *cli, const CliSegmenter *m, const char *path, int inverted);
void cli_film_free(CliFilm *f);

#endif
