/* Guidance on Gaussians, where every answer has a closed form. */
#include "diffusion/guidance.h"

#include "core/memory.h"
#include "tests/diffusion/mixture.h"

enum { B = 256, P = 64 };

static void moments(const float *x, int64_t n, double *mean, double *sd)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    *mean = sum / (double)n;
    *sd = sqrt(squares / (double)n - *mean * *mean);
}

static void draw(float *x, const VslDenoiser *denoiser, int sampler, int steps)
{
    NnRuntime *rt = runtime(NN_FLOAT32);
    VslDiffusion *d = process((VslDiffusionOptions){.process = VSL_PROCESS_EDM});
    NnScope *s = nn_scope_open(rt, NN_INFER);
    const VslSamplerOptions opt = {.sampler = sampler, .steps = steps, .seed = 9};
    nn_to_floats(s, x, B * P, vsl_sample(s, rt, d, denoiser, NN_SHAPE(B, 1, 8, 8), &opt));
    CHECK_OK(nn_scope_close(&s));
    vsl_diffusion_free(&d);
    nn_runtime_close(&rt);
}

/* N(a, s^2) guided away from N(b, s^2) by w is N(a + w (a - b), s^2): both scores are linear with one slope. */
TEST(classifier_free_guidance_moves_a_gaussian_by_its_weight)
{
    const double a = 0.5, b = 0.1, sd = 0.3, w = 2;
    Gaussian given = {a, sd}, null = {b, sd};
    VslFreeGuidance g = {{gaussian_denoise, &given}, {gaussian_denoise, &null}, w, 0};
    float x[B * P];
    double mean, spread;
    draw(x, &(VslDenoiser){vsl_guide_free, &g}, VSL_SAMPLER_HEUN, 40);
    moments(x, B * P, &mean, &spread);
    CHECK_NEAR(mean, a + w * (a - b), 4 * sd / sqrt(B * P) + 1e-3, "four standard errors, and the solver's");
    CHECK_NEAR(spread, sd, 0.02 * sd, "2 %");
    g.weight = 0;
    draw(x, &(VslDenoiser){vsl_guide_free, &g}, VSL_SAMPLER_HEUN, 40);
    moments(x, B * P, &mean, &spread);
    CHECK_NEAR(mean, a, 4 * sd / sqrt(B * P) + 1e-3, "weight 0 is the conditional");
}

TEST(rescaling_gives_the_conditional_spread)
{
    NnRuntime *rt = runtime(NN_FLOAT32);
    Gaussian given = {0, 1}, null = {0, 0.2};
    for (int i = 0; i <= 2; i++) {
        const double f = i / 2.0;
        VslFreeGuidance g = {{gaussian_denoise, &given}, {gaussian_denoise, &null}, 3, f};
        const VslLevel level = {.alpha = 1, .sigma = 0.7};
        NnScope *s = nn_scope_open(rt, NN_INFER);
        NnTensor *z = nn_randn(s, NN_SHAPE(2, 1, 8, 8), 1, 2, 0);
        float plain[2 * P], guided[2 * P], conditional[2 * P];
        nn_to_floats(s, guided, 2 * P, vsl_guide_free(s, z, &level, &g));
        nn_to_floats(s, conditional, 2 * P, gaussian_denoise(s, z, &level, &given));
        g.rescale = 0;
        nn_to_floats(s, plain, 2 * P, vsl_guide_free(s, z, &level, &g));
        CHECK_OK(nn_scope_close(&s));
        for (int b = 0; b < 2; b++) {
            double mean, sd_plain, sd_guided, sd_conditional;
            moments(plain + b * P, P, &mean, &sd_plain);
            moments(guided + b * P, P, &mean, &sd_guided);
            moments(conditional + b * P, P, &mean, &sd_conditional);
            CHECK_NEAR(sd_guided, f * sd_conditional + (1 - f) * sd_plain, 1e-4, "float32");
        }
    }
    nn_runtime_close(&rt);
}

typedef struct Pull { /* E = 1/2 |x0 - y|^2 of each sample */
    double y;
    int calls;
} Pull;

static NnTensor *pull(NnScope *s, NnTensor *x0, void *user)
{
    Pull *p = user;
    p->calls++;
    return nn_affine(s, nn_square(s, nn_affine(s, x0, 1, -p->y)), 0.5, 0);
}

/* D = mu + k (z - alpha mu), k = alpha sd^2 / (alpha^2 sd^2 + sigma^2); grad_z E = k (D - y):
 * D^w = D - sigma^2/alpha w k (D - y). fast: the same number, since k sigma^2 / alpha is v of guidance.h. */
TEST(energy_guidance_of_a_gaussian_is_its_closed_form)
{
    const double mu = 0.2, sd = 0.5, w = 1.5, y = 0.9;
    NnRuntime *rt = runtime(NN_FLOAT64);
    Gaussian m = {mu, sd};
    const VslLevel levels[] = {{.alpha = 1, .sigma = 40}, {.alpha = 1, .sigma = 0.5}, {.alpha = 0.6, .sigma = 0.8}};
    for (int fast = 0; fast <= 1; fast++) {
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
            const double alpha = levels[i].alpha, sigma = levels[i].sigma;
            const double k = alpha * sd * sd / (alpha * alpha * sd * sd + sigma * sigma);
            Pull p = {.y = y};
            VslEnergyGuidance g = {.denoiser = {gaussian_denoise, &m},
                                   .energy = pull,
                                   .user = &p,
                                   .weight = w,
                                   .sigma_data = sd,
                                   .tau = -1,
                                   .fast = fast};
            NnScope *s = nn_scope_open(rt, NN_INFER);
            NnTensor *z = nn_randn(s, NN_SHAPE(2, 1, 8, 8), 1, 2, 0);
            double at[2 * P], found[2 * P], held[2 * P], skipped[2 * P];
            nn_to_doubles(s, at, 2 * P, z);
            nn_to_doubles(s, found, 2 * P, vsl_guide_energy(s, z, &levels[i], &g));
            g.tau = 0.01;
            nn_to_doubles(s, held, 2 * P, vsl_guide_energy(s, z, &levels[i], &g));
            const int calls = p.calls;
            g.snr_low = 0.55;
            g.snr_high = 20;
            nn_to_doubles(s, skipped, 2 * P, vsl_guide_energy(s, z, &levels[i], &g));
            CHECK(p.calls == calls + (i == 2));
            CHECK_OK(nn_scope_close(&s));
            double push = 0;
            for (int e = 0; e < 2 * P; e++) {
                const double d = mu + k * (at[e] - alpha * mu);
                CHECK_NEAR(found[e], d - sigma * sigma / alpha * w * k * (d - y), 1e-12, "float64");
                push += e < P ? pow(held[e] - d, 2) : 0;
                CHECK(i == 2 || fabs(skipped[e] - d) < 1e-12);
            }
            CHECK_NEAR(sqrt(push), 0.01 * sd * sqrt(P), 1e-12, "held to tau sd sqrt(numbers)");
        }
    }
    nn_runtime_close(&rt);
}

/* With the same pull at every step the flow stays linear: Euler's end is a recursion in double precision. */
TEST(guided_samples_follow_the_guided_flow)
{
    enum { STEPS = 60 };
    const double mu = 0.2, sd = 0.5, w = 1, y = 0.9;
    Gaussian m = {mu, sd};
    Pull p = {.y = y};
    VslEnergyGuidance g = {
        .denoiser = {gaussian_denoise, &m}, .energy = pull, .user = &p, .weight = w, .sigma_data = sd, .tau = -1};
    float x[B * P];
    double mean, spread;
    draw(x, &(VslDenoiser){vsl_guide_energy, &g}, VSL_SAMPLER_DDIM, STEPS);
    moments(x, B * P, &mean, &spread);
    VslDiffusion *d = process((VslDiffusionOptions){.process = VSL_PROCESS_EDM});
    VslLevel levels[STEPS + 1];
    CHECK_OK(vsl_diffusion_levels(d, STEPS, levels));
    double slope = levels[0].sigma, shift = 0; /* z = slope n + shift */
    for (int i = 0; i < STEPS; i++) {
        const double from = levels[i].sigma, to = levels[i + 1].sigma, k = sd * sd / (sd * sd + from * from);
        const double pull_gain = from * from * w * k;       /* D^w = D - pull_gain (D - y) */
        const double d_slope = (1 - pull_gain) * k * slope, /* D = mu + k (z - mu) */
            d_shift = (1 - pull_gain) * (mu + k * (shift - mu)) + pull_gain * y;
        slope = to / from * slope + (1 - to / from) * d_slope;
        shift = to / from * shift + (1 - to / from) * d_shift;
    }
    CHECK_NEAR(mean, shift, 4 * fabs(slope) / sqrt(B * P) + 1e-4, "four standard errors");
    CHECK_NEAR(spread, fabs(slope), 0.02 * fabs(slope), "2 %");
    CHECK(mean > mu + 0.1);
    vsl_diffusion_free(&d);
}

int main(void)
{
    RUN(classifier_free_guidance_moves_a_gaussian_by_its_weight);
    RUN(rescaling_gives_the_conditional_spread);
    RUN(energy_guidance_of_a_gaussian_is_its_closed_form);
    RUN(guided_samples_follow_the_guided_flow);
    return CHECK_VERDICT();
}
