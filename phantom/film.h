/*
 * From transmitted light to a film: fine structure, ghosts, scatter, collimator, detector blur, counted photons, and
 * the response that makes dense parts white. N ~ Poisson(n0 a (P + S)),   S = s/(1-s) (G_scatter * P),   P = sum_e w_e
 * T_e exp(-G_ghost * A_e) x = ln(G_blur * N / (n0 a)),   grey = 65535 / (1 + exp(gamma (x - x0 + detail (x - G_detail *
 * x)))) n0: photons per mm^2 in the open beam, a: area of a pixel, s: share of scatter. The response is the S-shaped
 * curve of a film against log exposure; `detail` stands for the edge enhancement of digital systems. Noise is drawn per
 * pixel and after the blur: readers of a flat film see Poisson counts. @test phantom/test_radiograph.c
 */
#ifndef VSL_PHANTOM_FILM_H
#define VSL_PHANTOM_FILM_H

#include "core/volume.h"
#include "phantom/projection.h"
#include "phantom/wave.h"

typedef struct PhExposure {
    double photons_per_mm2; /* mean over the pixels behind the body */
    double scatter;         /* share of the detected light, 0..0.9 */
    double scatter_mm, blur_mm, ghost_mm, detail_mm;
    double gamma, detail;
    double middle_grey;  /* 0..1: grey of the mean log exposure behind the body */
    double heel_percent; /* how much less light reaches the right edge than the left */
    double border[4];    /* left, right, top, bottom: widths that the collimator covers, mm */
    const PhWaves *grain[2];
    double grain_sd[2];
    uint64_t seed, stream; /* of the noise */
} PhExposure;

/** film: one channel of whole numbers 0..65535, on the grid of a PNG (pixel (i, j) at x = -i, y = -j). */
VslStatus ph_expose(VslVolume *film, const PhProjection *p, const PhBeam *beam, const PhExposure *how, int threads);

/** A Poisson number named by (seed, stream, index): inversion below 64; above, the normal with its skewness corrected
 * (Cornish and Fisher), rounded. */
double ph_poisson(double mean, uint64_t seed, uint64_t stream, uint64_t index);

/** Gaussian mean over sigma pixels (columns, rows), edge values continued. in and out may not alias. */
VslStatus ph_blur(float *out, const float *in, const int64_t n[2], const double sigma[2], int threads);

#endif
