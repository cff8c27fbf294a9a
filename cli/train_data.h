/**
 * Images for training out of a manifest or a folder, as a VslDataset.
 *
 * A manifest's rows are images, or, where column mask_of is filled, masks of the image that it names: `structure` says
 * of what. subject and split (train, validation, test) are taken where they are given; rows that are neither PNG nor
 * NIfTI are passed over; sha256, where listed, must hold; photometric MONOCHROME1 turns an image's grey values round.
 * Paths are relative to the manifest's folder, or to --data-root. A folder means every PNG and NIfTI file in it and
 * below, without masks; the subject is the BIDS entity sub- of the name, or the name itself. Several channels of a PNG
 * are averaged.
 * @test cli/train_settings.sh
 */
#ifndef VSL_CLI_TRAIN_DATA_H
#define VSL_CLI_TRAIN_DATA_H

#include "cli/files.h"
#include "diffusion/data.h"
#include "io/sha256.h"

typedef struct CliDataHow {
    const char *data, *root; /* manifest or folder; NULL or the folder that paths are relative to */
    const char *size;        /* "64", "64,48", "32,32,32"; NULL = 64 in 2D, 32 in 3D */
    int with_masks;          /* read them; an image has all structures of the manifest, or none */
    /* with_masks, where no masks are listed: no image has any, of these structures; 0: that is refused */
    const char *const *structure;
    int structures;
    const char *parts;       /* ",train,validation,": only rows of these parts, rows without one always; NULL = all */
    double validation, test; /* shares of the subjects without a part */
} CliDataHow;

typedef struct CliDataAbout {
    char sha256[VSL_SHA256_HEX];                    /* of all names, subjects, parts and contents */
    int64_t images[VSL_SPLIT_TEST + 1], with_masks; /* counts by part */
} CliDataAbout;

/** @return VSL_E_IO, VSL_E_FORMAT, VSL_E_ARG (naming the file), VSL_E_NOMEM, VSL_E_CANCELLED. */
VSL_MUST_USE VslStatus cli_data_read(Cli *cli, VslDataset *out, CliDataAbout *about, const CliDataHow *how);
/** Colours of a PNG become their mean (its opacity aside); a NIfTI must have one channel. @return VSL_E_ARG. */
VSL_MUST_USE VslStatus cli_to_grey(VslVolume *v, int is_png, const char *path);
/** The extents that `text` asks for, for images whose first is flat or not. */
VSL_MUST_USE VslStatus cli_parse_size(int64_t n[3], const char *text, int is_flat);
/** The text that cli_parse_size reads: "64,48", or of a network with dims 3 "32,32,32". */
void cli_size_text(char *out, size_t room, const int64_t n[3], int dims);

#endif
