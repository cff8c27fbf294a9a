/* Samplers on data whose denoiser is known: moments of a Gaussian mixture, DDPM's moments at every step, and what a
 * sample may depend on. */
#include "diffusion/sampler.h"

#include <string.h>

#include "core/memory.h"
#include "tests/diffusion/mixture.h"

/* Three unlike parts in the plane. */
static Mixture three_parts(void)
{
    return (Mixture){.parts = 3,
                     .dims = 2,
                     .weight = {0.5, 0.3, 0.2},
                     .sd = {0.15, 0.25, 0.1},
                     .mean = {{-0.8, -0.5}, {0.9, -0.1}, {0.1, 1.0}}};
}

/* Two pictures of 8x8, a bright left and a bright lower half, less their mean: a start at sigma 80 knows no mean. */
static Mixture two_pictures(void)
{
    Mixture m = {.parts = 2, .dims = 64, .weight = {0.7, 0.3}, .sd = {0.2, 0.3}};
    for (int d = 0; d < 64; d++) {
        m.mean[0][d] = d % 8 < 4 ? 0.5 : -0.5;
        m.mean[1][d] = d / 8 < 4 ? -0.6 : 0.4;
        const double mean = 0.7 * m.mean[0][d] + 0.3 * m.mean[1][d];
        m.mean[0][d] -= mean;
        m.mean[1][d] -= mean;
    }
    return m;
}

static double true_mean(const Mixture *m, int i)
{
    double sum = 0;
    for (int k = 0; k < m->parts; k++) {
        sum += m->weight[k] * m->mean[k][i];
    }
    return sum;
}

static double true_covariance(const Mixture *m, int i, int j)
{
    double sum = -true_mean(m, i) * true_mean(m, j);
    for (int k = 0; k < m->parts; k++) {
        const double product = m->mean[k][i] * m->mean[k][j];
        sum += m->weight[k] * (product + (i == j) * m->sd[k] * m->sd[k]);
    }
    return sum;
}

/* Draws `count` samples (count, C, H, W) into values, in batches. */
static void draw(float *values, int64_t count, NnShape one, NnRuntime *rt, const VslDiffusion *d,
                 const VslDenoiser *denoiser, VslSamplerOptions opt)
{
    const int64_t numbers = one.n[1] * one.n[2] * one.n[3];
    while (count > 0) {
        one.n[0] = count < 16384 ? count : 16384;
        NnScope *s = nn_scope_open(rt, NN_INFER);
        nn_to_floats(s, values, one.n[0] * numbers, vsl_sample(s, rt, d, denoiser, one, &opt));
        CHECK_OK(nn_scope_close(&s));
        values += one.n[0] * numbers;
        opt.first += (uint64_t)one.n[0];
        count -= one.n[0];
    }
}

/* Mean and covariance of the samples within 2 %: of the data's standard deviation and variance (of the whole vector).
 * The samples are 65536 points or 16384 pictures, whose own error is
 * mostly that of the parts' shares, 0.4 to 0.8 %. */
static void check_moments(Mixture m, NnShape one, int64_t count, VslDiffusionOptions process_opt, VslSamplerOptions opt,
                          const char *what)
{
    NnRuntime *rt = runtime(NN_FLOAT32);
    VslDiffusion *d = process(process_opt);
    float *x = NULL;
    CHECK_OK(VSL_NEW(&x, count * m.dims, "samples"));
    draw(x, count, one, rt, d, &(VslDenoiser){mixture_denoise, &m}, opt);
    double variance = 0, mean_error = 0, covariance_error = 0, covariance = 0;
    double mean[MIXTURE_DIMS] = {0};
    for (int i = 0; i < m.dims; i++) {
        for (int64_t b = 0; b < count; b++) {
            mean[i] += (double)x[b * m.dims + i] / (double)count;
        }
        variance += true_covariance(&m, i, i);
        mean_error += pow(mean[i] - true_mean(&m, i), 2);
    }
    for (int i = 0; i < m.dims; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = 0;
            for (int64_t b = 0; b < count; b++) {
                sum += (x[b * m.dims + i] - mean[i]) * (x[b * m.dims + j] - mean[j]) / (double)count;
            }
            const double twice = i == j ? 1 : 2;
            covariance += twice * pow(true_covariance(&m, i, j), 2);
            covariance_error += twice * pow(sum - true_covariance(&m, i, j), 2);
        }
    }
    printf("  %-28s mean off by %.2f %%, covariance by %.2f %%\n", what, 100 * sqrt(mean_error / variance),
           100 * sqrt(covariance_error / covariance));
    CHECK_NEAR(sqrt(mean_error / variance), 0, 0.02, what);
    CHECK_NEAR(sqrt(covariance_error / covariance), 0, 0.02, what);
    vsl_free(x);
    vsl_diffusion_free(&d);
    nn_runtime_close(&rt);
}

TEST(every_sampler_reaches_the_moments_of_a_mixture)
{
    static const struct {
        const char *name;
        int process, sampler, steps;
        double eta;
    } cases[] = {
        {"ddpm, ancestral", VSL_PROCESS_DDPM, VSL_SAMPLER_DDPM, 250, 0},
        {"ddpm, ddim", VSL_PROCESS_DDPM, VSL_SAMPLER_DDIM, 250, 0},
        {"ddpm, ddim eta 0.5", VSL_PROCESS_DDPM, VSL_SAMPLER_DDIM, 250, 0.5},
        {"ddpm, heun", VSL_PROCESS_DDPM, VSL_SAMPLER_HEUN, 100, 0},
        {"ddpm, dpm-solver++ 2m", VSL_PROCESS_DDPM, VSL_SAMPLER_DPMPP2M, 100, 0},
        {"edm, euler", VSL_PROCESS_EDM, VSL_SAMPLER_DDIM, 250, 0},
        {"edm, ancestral", VSL_PROCESS_EDM, VSL_SAMPLER_DDPM, 250, 0},
        {"edm, heun", VSL_PROCESS_EDM, VSL_SAMPLER_HEUN, 40, 0},
        {"edm, dpm-solver++ 2m", VSL_PROCESS_EDM, VSL_SAMPLER_DPMPP2M, 60, 0},
        {"flow, euler", VSL_PROCESS_FLOW, VSL_SAMPLER_DDIM, 250, 0},
        {"flow, heun", VSL_PROCESS_FLOW, VSL_SAMPLER_HEUN, 60, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const VslSamplerOptions opt = {
            .sampler = cases[i].sampler, .steps = cases[i].steps, .eta = cases[i].eta, .seed = 11};
        check_moments(three_parts(), NN_SHAPE(1, 2, 1, 1), 65536, (VslDiffusionOptions){.process = cases[i].process},
                      opt, cases[i].name);
    }
}

TEST(pictures_reach_their_moments_too)
{
    const VslDiffusionOptions zero = {.betas = VSL_BETAS_COSINE, .prediction = VSL_PREDICT_V, .terminal_snr = 2};
    const NnShape one = NN_SHAPE(1, 1, 8, 8);
    check_moments(two_pictures(), one, 16384, zero, (VslSamplerOptions){.steps = 250, .seed = 3}, "zero snr, ddim");
    check_moments(two_pictures(), one, 16384, zero,
                  (VslSamplerOptions){.sampler = VSL_SAMPLER_HEUN, .steps = 100, .seed = 3}, "zero snr, heun");
    check_moments(two_pictures(), one, 16384, zero,
                  (VslSamplerOptions){.sampler = VSL_SAMPLER_DPMPP2M, .steps = 100, .seed = 3}, "zero snr, 2m");
    check_moments(two_pictures(), one, 16384, (VslDiffusionOptions){.process = VSL_PROCESS_EDM},
                  (VslSamplerOptions){.sampler = VSL_SAMPLER_HEUN, .steps = 40, .seed = 3}, "edm, heun");
    check_moments(two_pictures(), one, 16384, (VslDiffusionOptions){.process = VSL_PROCESS_FLOW},
                  (VslSamplerOptions){.steps = 250, .seed = 3}, "flow, euler");
}

/* Ho et al. 2020 in their own words (eq. 6 and 7, from the betas), not in those of sampler.c. Data N(mu, sd^2): x0^ is
 * linear in z, so that mean and variance of the chain follow a recursion in double precision. */
TEST(ddpm_has_its_closed_form_mean_and_variance_at_every_step)
{
    enum { T = 40, B = 64, P = 4096 };
    const double mu = 0.6, sd = 0.5;
    NnRuntime *rt = runtime(NN_FLOAT32);
    VslDiffusion *d = process((VslDiffusionOptions){.train_steps = T});
    VslLevel levels[T + 1];
    double *z = NULL, *z_before = NULL;
    CHECK_OK(VSL_NEW(&z, B * P, "samples"));
    CHECK_OK(VSL_NEW(&z_before, B * P, "samples"));
    CHECK_OK(vsl_diffusion_levels(d, T, levels));
    for (int point = 0; point <= 1; point++) { /* 1: all data at mu, where x0^ is exact and the chain too */
        Gaussian m = {mu, point ? 0 : sd};
        NnScope *s = nn_scope_open(rt, NN_INFER);
        VslSamplerOptions opt = {.sampler = VSL_SAMPLER_DDPM, .seed = 21};
        NnTensor *x = vsl_sample_start(s, NN_SHAPE(B, 1, 64, 64), &levels[0], &opt);
        double mean = 0, variance = levels[0].sigma * levels[0].sigma;
        for (int i = 0; i < T; i++) {
            const double abar = pow(levels[i].alpha, 2), before = pow(levels[i + 1].alpha, 2); /* abar_t, abar_(t-1) */
            const double alpha = abar / before, beta = 1 - alpha;
            const double on_x0 = sqrt(before) * beta / (1 - abar), on_z = sqrt(alpha) * (1 - before) / (1 - abar);
            const double gain = point ? 0 : levels[i].alpha * sd * sd / (abar * sd * sd + 1 - abar);
            const double factor = on_z + on_x0 * gain;
            const double offset = on_x0 * (mu - gain * levels[i].alpha * mu), fresh = (1 - before) / (1 - abar) * beta;
            mean = factor * mean + offset;
            variance = factor * factor * variance + fresh;

            opt.seed = 1000 + (uint64_t)i; /* each call is a run of one step: its noise must be new */
            nn_to_doubles(s, z_before, B * P, x);
            x = vsl_sample_levels(s, rt, &(VslDenoiser){gaussian_denoise, &m}, x, &levels[i], 2, &opt);
            nn_to_doubles(s, z, B * P, x);
            double sum = 0, squares = 0, noise = 0, noise_squares = 0;
            for (int64_t e = 0; e < B * P; e++) {
                const double n = z[e] - factor * z_before[e] - offset; /* what the step drew */
                sum += z[e];
                squares += z[e] * z[e];
                noise += n / (B * P);
                noise_squares += n * n / (B * P);
            }
            sum /= B * P;
            CHECK_NEAR(noise, 0, 5 * sqrt(fresh / (B * P)) + 1e-6, "a step's own mean");
            CHECK_NEAR(noise_squares, fresh, 5 * fresh * sqrt(2.0 / (B * P)) + 1e-12, "a step's own variance");
            const double found = squares / (B * P) - sum * sum;
            CHECK_NEAR(sum, mean, 5 * sqrt(variance / (B * P)) + 1e-6, "five standard errors");
            CHECK_NEAR(found, variance, 5 * variance * sqrt(2.0 / (B * P)) + 1e-6, "five standard errors");
            if (point && i + 1 < T && i > 0) {
                CHECK_NEAR(mean, levels[i + 1].alpha * mu, 0.02, "the forward process's own mean, start apart");
                CHECK_NEAR(variance, 1 - before, 1e-9, "the forward process's own variance");
            }
        }
        CHECK_OK(nn_scope_close(&s));
    }
    vsl_free(z_before);
    vsl_free(z);
    vsl_diffusion_free(&d);
    nn_runtime_close(&rt);
}

TEST(a_sample_depends_on_seed_and_number_alone)
{
    enum { N = 8, P = 64 };
    NnRuntime *rt = runtime(NN_FLOAT32);
    VslDiffusion *d = process((VslDiffusionOptions){0});
    Mixture m = two_pictures();
    const VslDenoiser denoiser = {mixture_denoise, &m};
    float whole[N * P], again[N * P], parts[N * P], other[N * P];
    for (int sampler = VSL_SAMPLER_DDIM; sampler <= VSL_SAMPLER_DPMPP2M; sampler++) {
        const VslSamplerOptions opt = {.sampler = sampler, .steps = 20, .seed = 5, .eta = 0.3, .first = 10};
        draw(whole, N, NN_SHAPE(1, 1, 8, 8), rt, d, &denoiser, opt);
        draw(again, N, NN_SHAPE(1, 1, 8, 8), rt, d, &denoiser, opt);
        for (int64_t b = 0, size = 1; b < N; b += size, size++) { /* batches of 1, 2, 3, 2 */
            VslSamplerOptions part = opt;
            part.first += (uint64_t)b;
            size = b + size > N ? N - b : size;
            draw(parts + b * P, size, NN_SHAPE(1, 1, 8, 8), rt, d, &denoiser, part);
        }
        VslSamplerOptions reseeded = opt;
        reseeded.seed = 6;
        draw(other, N, NN_SHAPE(1, 1, 8, 8), rt, d, &denoiser, reseeded);
        CHECK(memcmp(whole, again, sizeof whole) == 0);
        for (int i = 0; i < N * P; i++) {
            CHECK_NEAR(parts[i], whole[i], 0, "bits");
        }
        CHECK(memcmp(whole, other, sizeof whole) != 0);
        CHECK(memcmp(whole, whole + P, P * sizeof *whole) != 0);
    }
    vsl_diffusion_free(&d);
    nn_runtime_close(&rt);
}

TEST(memory_does_not_grow_with_steps)
{
    NnRuntime *rt = runtime(NN_FLOAT32);
    VslDiffusion *d = process((VslDiffusionOptions){0});
    Mixture m = two_pictures();
    int64_t peak[2];
    for (int i = 0; i < 2; i++) {
        NnScope *s = nn_scope_open(rt, NN_INFER);
        const VslSamplerOptions opt = {.sampler = VSL_SAMPLER_DPMPP2M, .steps = i ? 400 : 10};
        vsl_sample(s, rt, d, &(VslDenoiser){mixture_denoise, &m}, NN_SHAPE(256, 1, 8, 8), &opt);
        CHECK_OK(nn_scope_close(&s));
        peak[i] = nn_memory(rt).peak_bytes;
    }
    CHECK_NEAR(peak[1], peak[0], 0, "bytes");
    vsl_diffusion_free(&d);
    nn_runtime_close(&rt);
}

static int stop_at_three(int step, int steps, void *user)
{
    (void)steps;
    *(int *)user = step;
    return step == 3;
}

TEST(a_run_can_be_stopped_and_refuses_what_makes_no_sense)
{
    NnRuntime *rt = runtime(NN_FLOAT32);
    VslDiffusion *d = process((VslDiffusionOptions){0});
    Gaussian m = {0, 1};
    const VslDenoiser denoiser = {gaussian_denoise, &m};
    int reached = 0;
    VslSamplerOptions opt = {.steps = 10, .progress = stop_at_three, .progress_user = &reached};
    NnScope *s = nn_scope_open(rt, NN_INFER);
    vsl_sample(s, rt, d, &denoiser, NN_SHAPE(1, 1, 2, 2), &opt);
    CHECK_STATUS(nn_scope_close(&s), VSL_E_CANCELLED);
    CHECK(reached == 3);
    opt = (VslSamplerOptions){.eta = 2};
    s = nn_scope_open(rt, NN_INFER);
    vsl_sample(s, rt, d, &denoiser, NN_SHAPE(1, 1, 2, 2), &opt);
    CHECK_STATUS(nn_scope_close(&s), VSL_E_ARG);
    opt = (VslSamplerOptions){.sampler = VSL_SAMPLER_DDPM};
    s = nn_scope_open(rt, NN_INFER);
    vsl_invert(s, rt, d, &denoiser, nn_full(s, NN_SHAPE(1, 1, 2, 2), 0), &opt);
    CHECK_STATUS(nn_scope_close(&s), VSL_E_ARG);
    vsl_diffusion_free(&d);
    nn_runtime_close(&rt);
}

int main(void)
{
    RUN(every_sampler_reaches_the_moments_of_a_mixture);
    RUN(pictures_reach_their_moments_too);
    RUN(ddpm_has_its_closed_form_mean_and_variance_at_every_step);
    RUN(a_sample_depends_on_seed_and_number_alone);
    RUN(memory_does_not_grow_with_steps);
    RUN(a_run_can_be_stopped_and_refuses_what_makes_no_sense);
    return CHECK_VERDICT();
}
