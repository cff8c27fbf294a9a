/* Inpainting and inversion on a Gaussian whose neighbours are correlated: N(0, C), C = [[1, r], [r, 1]] for each pair
 * of voxels. E[x0 | z] = alpha C (alpha^2 C + sigma^2 I)^-1 z is known; so is what the known voxel says of the free
 * one. */
#include "diffusion/inpaint.h"

#include <string.h>

#include "core/memory.h"
#include "tests/diffusion/mixture.h"

enum { B = 4096 };
static const double r = 0.8;

/* In the basis (a + b, a - b)/sqrt 2 the covariance is diagonal: 1 + r, 1 - r. z (B, 1, 1, 2) */
static NnTensor *pair_denoise(NnScope *s, NnTensor *z, const VslLevel *level, void *user)
{
    const double a = level->alpha, s2 = level->sigma * level->sigma;
    const double even = a * (1 + r) / (a * a * (1 + r) + s2), odd = a * (1 - r) / (a * a * (1 - r) + s2);
    (void)user;
    NnTensor *x = nn_slice(s, z, 3, 0, 1), *y = nn_slice(s, z, 3, 1, 2);
    NnTensor *sum = nn_affine(s, nn_add(s, x, y), even / 2, 0), *gap = nn_affine(s, nn_sub(s, x, y), odd / 2, 0);
    return nn_concat(s, 2, (NnTensor *[]){nn_add(s, sum, gap), nn_sub(s, sum, gap)}, 3);
}

/* Mean and sd of the free voxel when the known one is 1. */
static void inpainted(double *mean, double *sd, int process_kind, int sampler, int steps, int jumps)
{
    NnRuntime *rt = runtime(NN_FLOAT32);
    VslDiffusion *d = process((VslDiffusionOptions){.process = process_kind});
    float *x = NULL;
    CHECK_OK(VSL_NEW(&x, 2 * B, "samples"));
    NnScope *s = nn_scope_open(rt, NN_INFER);
    const VslInpaint in = {.reference = nn_from_floats(s, (float[]){1, 77}, NN_SHAPE(1, 1, 1, 2)),
                           .mask = nn_from_floats(s, (float[]){1, 0}, NN_SHAPE(1, 1, 1, 2)),
                           .jumps = jumps};
    const VslSamplerOptions opt = {.sampler = sampler, .steps = steps, .seed = 4, .inpaint = &in};
    const VslDenoiser denoiser = {pair_denoise, NULL};
    nn_to_floats(s, x, 2 * B, vsl_sample(s, rt, d, &denoiser, NN_SHAPE(B, 1, 1, 2), &opt));
    CHECK_OK(nn_scope_close(&s));
    double sum = 0, squares = 0;
    int kept = 1;
    for (int b = 0; b < B; b++) {
        kept = kept && x[2 * b] == 1;
        sum += (double)x[2 * b + 1] / B;
        squares += (double)x[2 * b + 1] * (double)x[2 * b + 1] / B;
    }
    CHECK(kept);
    *mean = sum;
    *sd = sqrt(squares - sum * sum);
    vsl_free(x);
    vsl_diffusion_free(&d);
    nn_runtime_close(&rt);
}

TEST(known_voxels_are_kept_and_the_free_ones_follow_them)
{
    double mean, sd, worse, sd_worse;
    inpainted(&worse, &sd_worse, VSL_PROCESS_DDPM, VSL_SAMPLER_DDPM, 500, 0);
    inpainted(&mean, &sd, VSL_PROCESS_DDPM, VSL_SAMPLER_DDPM, 500, 10);
    printf("  conditional mean %.3f (%.3f without jumps), exact %.3f; sd %.3f (%.3f), exact %.3f\n", mean, worse, r, sd,
           sd_worse, sqrt(1 - r * r));
    CHECK_NEAR(mean, r, 0.03, "jumps bring the free voxel into agreement: 3 % of the data's sd");
    CHECK_NEAR(sd, sqrt(1 - r * r), 0.03, "the same");
    CHECK(fabs(worse - r) > 2 * fabs(mean - r));
}

TEST(every_sampler_and_process_keeps_what_is_known)
{
    for (int p = VSL_PROCESS_DDPM; p <= VSL_PROCESS_FLOW; p++) {
        for (int sampler = VSL_SAMPLER_DDIM; sampler <= VSL_SAMPLER_DPMPP2M; sampler++) {
            double mean, sd;
            inpainted(&mean, &sd, p, sampler, 12, 2); /* checks the known voxel */
            CHECK(isfinite(mean) && mean > 0.3 && mean < 1.2);
        }
    }
}

TEST(a_jump_back_restores_the_marginal)
{
    NnRuntime *rt = runtime(NN_FLOAT64);
    const VslLevel low = {.alpha = 0.9, .sigma = 0.3}, high = {.alpha = 0.5, .sigma = 0.8};
    double out[1];
    NnScope *s = nn_scope_open(rt, NN_INFER);
    NnTensor *zero = nn_full(s, NN_SHAPE(1), 0), *one = nn_full(s, NN_SHAPE(1), 1);
    nn_to_doubles(s, out, 1, vsl_inpaint_jump(s, one, &low, &high, zero));
    const double signal = out[0];
    nn_to_doubles(s, out, 1, vsl_inpaint_jump(s, zero, &low, &high, one));
    CHECK_OK(nn_scope_close(&s));
    CHECK_NEAR(signal * low.alpha, high.alpha, 1e-14, "alpha of the higher level");
    CHECK_NEAR(pow(signal * low.sigma, 2) + out[0] * out[0], high.sigma * high.sigma, 1e-14, "and its sigma");
    nn_runtime_close(&rt);
}

/* Largest difference between data and what is drawn from its inversion. */
static double round_trip(int process_kind, int sampler, int steps)
{
    NnRuntime *rt = runtime(NN_FLOAT64);
    VslDiffusion *d = process((VslDiffusionOptions){.process = process_kind});
    const VslDenoiser denoiser = {pair_denoise, NULL};
    const VslSamplerOptions opt = {.sampler = sampler, .steps = steps};
    VslLevel levels[1001];
    const float data[4] = {0.9f, 0.4f, -1.3f, -0.7f};
    double back[4], most = 0;
    CHECK_OK(vsl_diffusion_levels(d, steps, levels));
    NnScope *s = nn_scope_open(rt, NN_INFER);
    NnTensor *z = vsl_invert(s, rt, d, &denoiser, nn_from_floats(s, data, NN_SHAPE(2, 1, 1, 2)), &opt);
    nn_to_doubles(s, back, 4, vsl_sample_levels(s, rt, &denoiser, z, levels, steps + 1, &opt));
    CHECK_OK(nn_scope_close(&s));
    for (int i = 0; i < 4; i++) {
        most = fmax(most, fabs(back[i] - (double)data[i]));
    }
    vsl_diffusion_free(&d);
    nn_runtime_close(&rt);
    return most;
}

TEST(inversion_leads_back_to_the_data)
{
    for (int p = VSL_PROCESS_DDPM; p <= VSL_PROCESS_FLOW; p++) {
        const double coarse = round_trip(p, VSL_SAMPLER_DDIM, 50), fine = round_trip(p, VSL_SAMPLER_DDIM, 500);
        const double heun = round_trip(p, VSL_SAMPLER_HEUN, 50);
        printf("  process %d: ddim 50 steps %.3g, 500 steps %.3g, heun 50 steps %.3g\n", p, coarse, fine, heun);
        CHECK(fine < coarse / 5);
        CHECK_NEAR(fine, 0, 0.02, "of data of size 1");
        CHECK(heun < coarse);
    }
}

int main(void)
{
    RUN(known_voxels_are_kept_and_the_free_ones_follow_them);
    RUN(every_sampler_and_process_keeps_what_is_known);
    RUN(a_jump_back_restores_the_marginal);
    RUN(inversion_leads_back_to_the_data);
    return CHECK_VERDICT();
}
