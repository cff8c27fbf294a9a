/* The autoencoder: gradients, the KL term, the latent's scale; and what it is for: pictures and volumes of a ball on
 * the side that was asked for, drawn by a model of latents (2D) and of voxels (3D), trained here. */
#include "diffusion/autoencoder.h"

#include <string.h>

#include "core/memory.h"
#include "core/random.h"
#include "diffusion/guidance.h"
#include "tests/diffusion/mixture.h"

static int64_t count_of(NnShape n)
{
    int64_t count = 1;
    for (int i = 0; i < n.rank; i++) {
        count *= n.n[i];
    }
    return count;
}

static NnShape image(int dims, int64_t batch, int64_t channels, int64_t n)
{
    return (NnShape){.rank = 2 + dims, .n = {batch, channels, n, n, n}};
}

static VslAutoencoderOptions tiny(int dims)
{
    return (VslAutoencoderOptions){.dims = dims, .latent_channels = 2, .width = 8, .multipliers = {1, 2}, .blocks = 1};
}

/* mean |x - decode(z)| is not smooth: the square stands for it here */
static double loss_of(NnRuntime *rt, const VslAutoencoder *a, int dims, NnParams *backward)
{
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    NnTensor *x = nn_randn(s, image(dims, 2, 1, 4), 1, 1, 0);
    const VslLatent latent = vsl_autoencoder_encode(s, a, x);
    NnTensor *back = vsl_autoencoder_decode(s, a, vsl_latent_draw(s, &latent, 4, 0, 0));
    NnTensor *loss = nn_add(s, nn_mse(s, back, x), nn_affine(s, vsl_latent_kl(s, &latent), 0.01, 0));
    if (backward) {
        nn_zero_grad(s, backward);
        nn_backward(s, loss);
    }
    const double value = nn_item(s, loss);
    CHECK_OK(nn_scope_close(&s));
    return value;
}

TEST(the_gradient_is_that_of_central_differences)
{
    for (int dims = 2; dims <= 3; dims++) {
        const VslAutoencoderOptions opt = tiny(dims);
        NnRuntime *rt = runtime(NN_FLOAT64);
        NnParams *p = NULL;
        VslAutoencoder *a = NULL;
        CHECK_OK(nn_params_new(&p, rt, 2));
        CHECK_OK(vsl_autoencoder_new(&a, p, &opt));
        CHECK(vsl_autoencoder_factor(a) == 2);
        loss_of(rt, a, dims, p);
        for (int64_t i = 0; i < nn_params_count(p); i++) {
            static float at[8192], moved[8192], gradient[8192];
            const int64_t count = count_of(nn_params_shape(p, i));
            CHECK(count <= 8192);
            double slope = 0, size = 0, ends[2];
            CHECK_OK(nn_params_get(p, i, at));
            CHECK_OK(nn_params_grad(p, i, gradient));
            for (int side = 0; side < 2; side++) {
                for (int64_t e = 0; e < count; e++) {
                    const double step = 1e-3 / sqrt((double)count) * vsl_random_normal(2, (uint64_t)i, (uint64_t)e);
                    moved[e] = (float)((double)at[e] + (side ? step : -step));
                    slope += (side ? 1 : -1) * (double)gradient[e] * (double)moved[e];
                    size += fabs((double)gradient[e] * step);
                }
                CHECK_OK(nn_params_set(p, i, moved));
                ends[side] = loss_of(rt, a, dims, NULL);
            }
            CHECK_OK(nn_params_set(p, i, at));
            CHECK_NEAR((ends[1] - ends[0] - slope) / (size + 1e-12), 0, 1e-4, nn_params_name(p, i));
        }
        vsl_autoencoder_free(&a);
        nn_params_free(&p);
        nn_runtime_close(&rt);
    }
}

TEST(kl_draws_and_scale_have_their_closed_forms)
{
    NnRuntime *rt = runtime(NN_FLOAT64);
    NnScope *s = nn_scope_open(rt, NN_INFER);
    const NnShape shape = NN_SHAPE(2, 3, 32, 32);
    const VslLatent latent = {nn_full(s, shape, 0.7), nn_full(s, shape, log(0.25))};
    const double each = 0.5 * (0.7 * 0.7 + 0.25 - 1 - log(0.25));
    CHECK_NEAR(nn_item(s, vsl_latent_kl(s, &latent)), each * 3 * 1024, 1e-9, "summed over a sample's numbers");
    NnTensor *z = vsl_latent_draw(s, &latent, 1, 2, 0);
    const double mean = nn_item(s, nn_mean(s, z, NN_ALL));
    const double square = nn_item(s, nn_mean(s, nn_square(s, nn_affine(s, z, 1, -0.7)), NN_ALL));
    CHECK_NEAR(mean, 0.7, 4 * 0.5 / sqrt(6144), "four standard errors");
    CHECK_NEAR(sqrt(square), 0.5, 4 * 0.5 / sqrt(2 * 6144.0), "four standard errors");
    const VslLatent low = {nn_full(s, shape, 1), NULL}, high = {nn_full(s, shape, 5), NULL};
    VslLatentMoments m = {0};
    double scale = 0;
    CHECK_STATUS(vsl_latent_scale(&scale, &m), VSL_E_ARG);
    vsl_latent_add(s, &m, &low);
    CHECK_STATUS(vsl_latent_scale(&scale, &m), VSL_E_NUMERIC);
    vsl_latent_add(s, &m, &high);
    CHECK_OK(vsl_latent_scale(&scale, &m));
    CHECK_NEAR(scale, 0.5, 1e-12, "sd of 1 and 5 is 2");
    CHECK_OK(nn_scope_close(&s));
    nn_runtime_close(&rt);
}

/* --- a model of balls --------------------------------------------------------------------------------------------- */

enum { BATCH = 16, MOST = BATCH * 4096 };

/* A ball of random place and size in the left (0) or right (1) half of the last axis, on noise: (BATCH, 1, ..). */
static void balls(float *x, int *side, int dims, int n, uint64_t first)
{
    const int64_t voxels = dims == 3 ? (int64_t)n * n * n : (int64_t)n * n;
    for (uint64_t b = 0; b < BATCH; b++) {
        const uint64_t k = first + b;
        double centre[3];
        for (uint64_t a = 0; a < 3; a++) {
            centre[a] = n * (0.35 + 0.3 * vsl_random_uniform(6, a, k));
        }
        side[b] = vsl_random_uniform(6, 3, k) < 0.5;
        centre[0] = n * (side[b] ? 0.75 : 0.25);
        const double radius = n * (0.15 + 0.08 * vsl_random_uniform(6, 4, k));
        for (int64_t v = 0; v < voxels; v++) {
            const double i = (double)(v % n), j = (double)(v / n % n), l = dims == 3 ? (double)(v / n / n) : centre[2];
            const double d = sqrt(pow(i - centre[0], 2) + pow(j - centre[1], 2) + pow(l - centre[2], 2));
            x[(int64_t)b * voxels + v] = (float)(2 / (1 + exp(2 * (d - radius))) - 1);
        }
    }
}

/* Side of the brighter half of each picture: how many are as asked. */
static int right_sides(const float *x, const int *asked, int64_t count, int64_t voxels, int n)
{
    int right = 0;
    for (int64_t b = 0; b < count; b++) {
        double half[2] = {0, 0};
        for (int64_t v = 0; v < voxels; v++) {
            half[v % n >= n / 2] += (double)x[b * voxels + v];
        }
        right += (half[1] > half[0]) == asked[b];
    }
    return right;
}

static NnTensor *one_hot(NnScope *s, const int *side)
{
    float v[2 * BATCH] = {0};
    for (int b = 0; b < BATCH; b++) {
        v[2 * b + side[b]] = 1;
    }
    return nn_from_floats(s, v, NN_SHAPE(BATCH, 2));
}

typedef struct Model {
    NnRuntime *rt;
    NnParams *params;
    NnAdamW *optimiser;
} Model;

static Model open_model(void)
{
    Model m = {.rt = runtime(NN_FLOAT32)};
    CHECK_OK(nn_params_new(&m.params, m.rt, 1));
    return m;
}

static void close_model(Model *m)
{
    nn_adamw_free(&m->optimiser);
    nn_params_free(&m->params);
    nn_runtime_close(&m->rt);
}

/* encoder: NULL = voxels themselves. Latents are diffused times scale. */
static double denoiser_step(Model *m, const VslUnet *net, const VslDiffusion *d, const VslAutoencoder *encoder,
                            double scale, NnShape shape, uint64_t step)
{
    static float x[MOST];
    int side[BATCH];
    float keep[BATCH];
    balls(x, side, shape.rank - 2, (int)shape.n[2], step * BATCH);
    for (uint64_t b = 0; b < BATCH; b++) {
        keep[b] = vsl_random_uniform(8, step, b) > 0.1f;
    }
    NnScope *s = nn_scope_open(m->rt, NN_TRAIN);
    NnTensor *z = nn_from_floats(s, x, shape);
    if (encoder) {
        z = nn_affine(s, nn_detach(s, vsl_autoencoder_encode(s, encoder, z).mean), scale, 0);
    }
    const VslNoised n = vsl_diffusion_noise(s, d, z, 7, step, 0);
    const VslUnetInput in = {
        .x = n.z, .time = n.time, .vector = one_hot(s, side), .keep = nn_from_floats(s, keep, NN_SHAPE(BATCH))};
    NnTensor *loss = vsl_diffusion_loss(s, &n, vsl_unet_forward(s, net, &in));
    nn_backward(s, loss);
    nn_clip_grad_norm(s, m->params, 1);
    nn_adamw_step(s, m->optimiser, 2e-3);
    const double value = nn_item(s, loss);
    CHECK_OK(nn_scope_close(&s));
    return value;
}

/* Samples of alternating sides under classifier-free guidance; how many are right, and their mean square into *power.
 */
static int drawn_right(const Model *m, const VslUnet *net, const VslDiffusion *d, const VslAutoencoder *decoder,
                       double scale, NnShape latent, int sampler, int steps, int n, double *power)
{
    static float x[MOST];
    int asked[BATCH];
    for (int b = 0; b < BATCH; b++) {
        asked[b] = b % 2;
    }
    NnScope *s = nn_scope_open(m->rt, NN_INFER);
    VslUnetDenoiser conditional = {net, {.vector = one_hot(s, asked)}}, null = {net, {0}};
    VslFreeGuidance guidance = {{vsl_unet_denoise, &conditional}, {vsl_unet_denoise, &null}, 1, 0};
    const VslSamplerOptions opt = {.sampler = sampler, .steps = steps, .seed = 77};
    NnTensor *z = vsl_sample(s, m->rt, d, &(VslDenoiser){vsl_guide_free, &guidance}, latent, &opt);
    z = decoder ? vsl_autoencoder_decode(s, decoder, nn_affine(s, z, 1 / scale, 0)) : z;
    const int64_t voxels = count_of(nn_shape(z)) / BATCH;
    nn_to_floats(s, x, BATCH * voxels, z);
    CHECK_OK(nn_scope_close(&s));
    *power = 0;
    for (int64_t e = 0; e < BATCH * voxels; e++) {
        *power += (double)x[e] * (double)x[e] / (double)(BATCH * voxels);
    }
    return right_sides(x, asked, BATCH, voxels, n);
}

static double encoder_step(Model *m, const VslAutoencoder *a, NnShape shape, uint64_t step)
{
    static float x[MOST];
    int side[BATCH];
    balls(x, side, shape.rank - 2, (int)shape.n[2], step * BATCH);
    NnScope *s = nn_scope_open(m->rt, NN_TRAIN);
    NnTensor *in = nn_from_floats(s, x, shape);
    const VslLatent latent = vsl_autoencoder_encode(s, a, in);
    NnTensor *off = nn_l1(s, vsl_autoencoder_decode(s, a, vsl_latent_draw(s, &latent, 9, step, 0)), in);
    nn_backward(s, nn_add(s, off, nn_affine(s, vsl_latent_kl(s, &latent), 1e-5, 0)));
    nn_clip_grad_norm(s, m->params, 1);
    nn_adamw_step(s, m->optimiser, 3e-3);
    const double value = nn_item(s, off);
    CHECK_OK(nn_scope_close(&s));
    return value;
}

TEST(a_latent_model_draws_the_side_that_was_asked_for)
{
    const NnShape shape = image(2, BATCH, 1, 16);
    Model coder = open_model(), model = open_model();
    VslAutoencoder *a = NULL;
    VslUnet *net = NULL;
    const VslAutoencoderOptions opt = {.latent_channels = 2, .width = 8, .multipliers = {1, 1, 2}, .blocks = 1};
    CHECK_OK(vsl_autoencoder_new(&a, coder.params, &opt));
    CHECK(vsl_autoencoder_factor(a) == 4);
    CHECK_OK(nn_adamw_new(&coder.optimiser, coder.params, &(NnAdamWOptions){0}));
    const double first = encoder_step(&coder, a, shape, 0);
    double last = 0;
    for (uint64_t step = 1; step < 300; step++) {
        last = encoder_step(&coder, a, shape, step);
    }
    printf("  reconstruction: mean |error| %.3f -> %.3f\n", first, last);
    CHECK(last < 0.25 * first);

    VslLatentMoments moments = {0};
    double scale = 0, power = 0, loss = 0;
    for (uint64_t i = 0; i < 8; i++) {
        static float x[MOST];
        int side[BATCH];
        balls(x, side, 2, 16, 5000 + i * BATCH);
        NnScope *s = nn_scope_open(coder.rt, NN_INFER);
        const VslLatent latent = vsl_autoencoder_encode(s, a, nn_from_floats(s, x, shape));
        vsl_latent_add(s, &moments, &latent);
        CHECK_OK(nn_scope_close(&s));
    }
    CHECK_OK(vsl_latent_scale(&scale, &moments));
    VslDiffusion *d = process((VslDiffusionOptions){.betas = VSL_BETAS_SCALED_LINEAR, .prediction = VSL_PREDICT_V});
    const VslUnetOptions unet = {.preset = VSL_UNET_TINY, .in_channels = 2, .vector_width = 2};
    CHECK_OK(vsl_unet_new(&net, model.params, &unet));
    CHECK_OK(nn_adamw_new(&model.optimiser, model.params, &(NnAdamWOptions){0}));
    for (uint64_t step = 0; step < 400; step++) {
        loss = denoiser_step(&model, net, d, a, scale, shape, step);
    }
    const int right = drawn_right(&model, net, d, a, scale, image(2, BATCH, 2, 4), VSL_SAMPLER_DPMPP2M, 20, 16, &power);
    printf("  loss of v %.3f; %d of %d samples on the side asked for, mean square %.2f\n", loss, right, BATCH, power);
    CHECK(right >= 15);
    CHECK(power > 0.3 && power < 1.2);
    vsl_diffusion_free(&d);
    vsl_unet_free(&net);
    vsl_autoencoder_free(&a);
    close_model(&model);
    close_model(&coder);
}

TEST(a_model_of_volumes_draws_the_side_that_was_asked_for)
{
    const NnShape shape = image(3, BATCH, 1, 8);
    Model model = open_model();
    VslUnet *net = NULL;
    double loss = 0, power = 0;
    VslDiffusion *d = process((VslDiffusionOptions){.process = VSL_PROCESS_EDM, .sigma_data = 0.8});
    const VslUnetOptions unet = {.preset = VSL_UNET_TINY, .dims = 3, .vector_width = 2};
    CHECK_OK(vsl_unet_new(&net, model.params, &unet));
    CHECK_OK(nn_adamw_new(&model.optimiser, model.params, &(NnAdamWOptions){0}));
    for (uint64_t step = 0; step < 300; step++) {
        loss = denoiser_step(&model, net, d, NULL, 1, shape, step);
    }
    const int right = drawn_right(&model, net, d, NULL, 1, shape, VSL_SAMPLER_HEUN, 12, 8, &power);
    printf("  edm loss %.3f; %d of %d volumes on the side asked for, mean square %.2f\n", loss, right, BATCH, power);
    CHECK(right >= 15);
    CHECK(power > 0.3 && power < 1.2);
    vsl_diffusion_free(&d);
    vsl_unet_free(&net);
    close_model(&model);
}

static VslStatus encode_status(const VslAutoencoder *a, NnRuntime *rt, NnShape shape)
{
    NnScope *s = nn_scope_open(rt, NN_INFER);
    vsl_autoencoder_encode(s, a, nn_full(s, shape, 0));
    return nn_scope_close(&s);
}

TEST(what_does_not_fit_is_refused)
{
    Model m = open_model();
    VslAutoencoder *a = NULL;
    VslAutoencoderOptions opt = tiny(2);
    CHECK_OK(vsl_autoencoder_new(&a, m.params, &opt));
    CHECK_STATUS(encode_status(a, m.rt, NN_SHAPE(1, 1, 8, 7)), VSL_E_ARG);
    CHECK(strstr(vsl_error(), "axis 3 has 7 voxels, expected a multiple of 2"));
    CHECK_STATUS(encode_status(a, m.rt, NN_SHAPE(1, 2, 8, 8)), VSL_E_ARG);
    CHECK_STATUS(encode_status(a, m.rt, NN_SHAPE(1, 1, 8, 8, 8)), VSL_E_ARG);
    vsl_autoencoder_free(&a);
    opt.width = 30;
    CHECK_STATUS(vsl_autoencoder_new(&a, m.params, &opt), VSL_E_ARG);
    opt = tiny(5);
    CHECK_STATUS(vsl_autoencoder_new(&a, m.params, &opt), VSL_E_ARG);
    CHECK(a == NULL);
    close_model(&m);
}

int main(void)
{
    RUN(the_gradient_is_that_of_central_differences);
    RUN(kl_draws_and_scale_have_their_closed_forms);
    RUN(a_latent_model_draws_the_side_that_was_asked_for);
    RUN(a_model_of_volumes_draws_the_side_that_was_asked_for);
    RUN(what_does_not_fit_is_refused);
    return CHECK_VERDICT();
}
