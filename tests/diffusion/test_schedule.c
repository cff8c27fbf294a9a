/* Noise processes: end points and identities of the schedules, conversions of predictions, EDM's preconditioning, and
 * batches made noisy. */
#include "diffusion/schedule.h"

#include <string.h>

#include "core/random.h"
#include "tests/diffusion/mixture.h"

static VslDiffusionOptions ddpm(int betas, int prediction)
{
    return (VslDiffusionOptions){.process = VSL_PROCESS_DDPM, .betas = betas, .prediction = prediction};
}

/* x0^ and the network's target for data x and noise n at a level: F = target must give back x. */
static void check_conversion(const VslLevel *l, const char *what)
{
    for (int i = 0; i < 20; i++) {
        const double x = vsl_random_normal(1, 1, (uint64_t)i), n = vsl_random_normal(1, 2, (uint64_t)i);
        const double z = l->alpha * x + l->sigma * n, f = l->target_x0 * x + l->target_noise * n;
        /* eps divides by alpha: digits go where almost no data is left */
        CHECK_NEAR(l->skip * z + l->out * f, x, 1e-12 * (1 + fabs(l->skip)), what);
    }
}

TEST(every_prediction_gives_back_x0_from_its_own_target)
{
    for (int betas = VSL_BETAS_LINEAR; betas <= VSL_BETAS_COSINE; betas++) {
        for (int prediction = VSL_PREDICT_EPS; prediction <= VSL_PREDICT_V; prediction++) {
            VslDiffusion *d = process(ddpm(betas, prediction));
            for (int k = 0; k < 1000; k += 37) {
                const VslLevel l = vsl_diffusion_level(d, k);
                check_conversion(&l, "ddpm");
                CHECK_NEAR(l.alpha * l.alpha + l.sigma * l.sigma, 1, 1e-14, "variance preserving");
                CHECK_NEAR(l.time, k, 0, "the network is told the step");
            }
            vsl_diffusion_free(&d);
        }
    }
    VslDiffusion *edm = process((VslDiffusionOptions){.process = VSL_PROCESS_EDM});
    VslDiffusion *flow = process((VslDiffusionOptions){.process = VSL_PROCESS_FLOW});
    for (int i = 1; i <= 20; i++) {
        const VslLevel e = vsl_diffusion_level(edm, pow(10, -3 + 0.25 * i)), f = vsl_diffusion_level(flow, i / 20.0);
        check_conversion(&e, "edm");
        check_conversion(&f, "flow");
    }
    vsl_diffusion_free(&flow);
    vsl_diffusion_free(&edm);
}

TEST(v_eps_and_x0_say_the_same)
{
    VslDiffusion *d = process(ddpm(VSL_BETAS_COSINE, VSL_PREDICT_V));
    for (int k = 10; k < 1000; k += 90) {
        const VslLevel l = vsl_diffusion_level(d, k);
        const double x = 0.7, n = -1.3, z = l.alpha * x + l.sigma * n, v = l.alpha * n - l.sigma * x;
        CHECK_NEAR(l.target_x0 * x + l.target_noise * n, v, 1e-14, "v = alpha eps - sigma x0");
        CHECK_NEAR(l.alpha * z - l.sigma * v, x, 1e-14, "x0 = alpha z - sigma v");
        CHECK_NEAR(l.alpha * v + l.sigma * z, n, 1e-14, "eps = alpha v + sigma z");
    }
    vsl_diffusion_free(&d);
}

TEST(the_schedules_end_where_the_papers_say)
{
    VslDiffusion *linear = process(ddpm(VSL_BETAS_LINEAR, VSL_PREDICT_EPS));
    VslDiffusion *scaled = process(ddpm(VSL_BETAS_SCALED_LINEAR, VSL_PREDICT_V));
    VslDiffusion *cosine = process(ddpm(VSL_BETAS_COSINE, VSL_PREDICT_EPS));
    const VslLevel first = vsl_diffusion_level(linear, 0), last = vsl_diffusion_level(linear, 999);
    CHECK_NEAR(first.alpha * first.alpha, 1 - 1e-4, 1e-15, "1 - beta_1");
    CHECK_NEAR(last.alpha * last.alpha, 4.0358e-5, 1e-8, "Ho et al.: the product of 1 - beta over 1000 steps");
    const VslLevel far = vsl_diffusion_level(scaled, 999), near = vsl_diffusion_level(scaled, 0);
    CHECK_NEAR(far.alpha * far.alpha, 9.7e-5, 1e-6, "scaled linear 0.0015 .. 0.0205");
    CHECK_NEAR(near.sigma * near.sigma, 0.0015, 1e-15, "its first beta");
    for (int k = 0; k < 990; k += 33) { /* later betas are bounded by 0.999 */
        const double t = (k + 1) / 1000.0, c = cos((t + 0.008) / 1.008 * acos(-1) / 2),
                     c0 = cos(0.008 / 1.008 * acos(-1) / 2);
        CHECK_NEAR(vsl_diffusion_level(cosine, k).alpha, c / c0, 1e-12, "cosine, closed form");
    }
    vsl_diffusion_free(&cosine);
    vsl_diffusion_free(&scaled);
    vsl_diffusion_free(&linear);
}

TEST(the_number_of_steps_does_not_move_the_end)
{
    VslDiffusionOptions opt = ddpm(VSL_BETAS_LINEAR, VSL_PREDICT_EPS);
    opt.train_steps = 4000;
    VslDiffusion *d = process(opt);
    CHECK_NEAR(log(vsl_diffusion_level(d, 3999).alpha), 0.5 * log(4.0358e-5), 0.06, "betas scale with 1000 / T");
    vsl_diffusion_free(&d);
}

TEST(zero_terminal_snr_ends_in_pure_noise_and_keeps_the_first_step)
{
    VslDiffusionOptions opt = ddpm(VSL_BETAS_SCALED_LINEAR, VSL_PREDICT_V);
    VslDiffusion *plain = process(opt);
    opt.terminal_snr = 2;
    VslDiffusion *zero = process(opt);
    CHECK_NEAR(vsl_diffusion_level(zero, 999).alpha, 0, 0, "no data at the last step");
    CHECK_NEAR(vsl_diffusion_level(zero, 999).sigma, 1, 0, "noise alone");
    CHECK_NEAR(vsl_diffusion_level(zero, 0).alpha, vsl_diffusion_level(plain, 0).alpha, 1e-15, "the first is kept");
    for (int k = 1; k < 1000; k++) {
        CHECK(vsl_diffusion_level(zero, k).alpha < vsl_diffusion_level(zero, k - 1).alpha);
    }
    vsl_diffusion_free(&zero);
    vsl_diffusion_free(&plain);
    VslDiffusion *none = NULL;
    opt.prediction = VSL_PREDICT_EPS;
    CHECK_STATUS(vsl_diffusion_new(&none, &opt), VSL_E_ARG);
    CHECK(none == NULL && strstr(vsl_error(), "zero terminal snr"));
}

TEST(min_snr_weights_agree_between_predictions)
{
    /* An error e of x0^ is alpha/sigma e of eps^ and 1/sigma e of v^: the weighted squares must be one number. */
    VslDiffusion *d[4] = {NULL};
    for (int p = VSL_PREDICT_EPS; p <= VSL_PREDICT_V; p++) {
        VslDiffusionOptions opt = ddpm(VSL_BETAS_COSINE, p);
        opt.loss_weight = VSL_WEIGHT_MIN_SNR;
        d[p] = process(opt);
    }
    for (int k = 0; k < 1000; k += 50) {
        const VslLevel e = vsl_diffusion_level(d[VSL_PREDICT_EPS], k), x = vsl_diffusion_level(d[VSL_PREDICT_X0], k),
                       v = vsl_diffusion_level(d[VSL_PREDICT_V], k);
        const double snr = x.alpha * x.alpha / (x.sigma * x.sigma), want = fmin(snr, 5);
        CHECK_NEAR(x.weight, want, 1e-12 * want, "min(snr, 5)");
        CHECK_NEAR(e.weight * snr, want, 1e-12 * want, "eps");
        CHECK_NEAR(v.weight / (v.sigma * v.sigma), want, 1e-9 * want, "v");
    }
    for (int p = VSL_PREDICT_EPS; p <= VSL_PREDICT_V; p++) {
        vsl_diffusion_free(&d[p]);
    }
    VslDiffusion *none = NULL;
    const VslDiffusionOptions flow = {.process = VSL_PROCESS_FLOW, .loss_weight = VSL_WEIGHT_MIN_SNR};
    CHECK_STATUS(vsl_diffusion_new(&none, &flow), VSL_E_ARG);
}

TEST(edm_preconditioning_is_the_papers)
{
    const double sd = 0.5;
    VslDiffusion *d = process((VslDiffusionOptions){.process = VSL_PROCESS_EDM, .sigma_data = sd});
    for (int i = 0; i < 12; i++) {
        const double s = 0.002 * pow(80 / 0.002, i / 11.0), q2 = s * s + sd * sd;
        const VslLevel l = vsl_diffusion_level(d, s);
        CHECK_NEAR(l.skip, sd * sd / q2, 1e-14, "c_skip");
        CHECK_NEAR(l.out, s * sd / sqrt(q2), 1e-14 * (1 + l.out), "c_out");
        CHECK_NEAR(l.in, 1 / sqrt(q2), 1e-14, "c_in");
        CHECK_NEAR(l.time, 1000 * log(s) / 4, 1e-10, "c_noise, in thousandths");
        CHECK_NEAR(l.weight, q2 / (s * sd * s * sd) * l.out * l.out, 1e-12, "lambda c_out^2");
        /* unit variance of input and target for data of sd sigma_data: the purpose of the coefficients */
        CHECK_NEAR(l.in * l.in * (sd * sd + s * s), 1, 1e-12, "input variance");
        CHECK_NEAR(l.target_x0 * l.target_x0 * sd * sd + l.target_noise * l.target_noise, 1, 1e-12, "target variance");
    }
    VslLevel levels[19];
    CHECK_OK(vsl_diffusion_levels(d, 18, levels));
    CHECK_NEAR(levels[0].sigma, 80, 1e-10, "sigma_max");
    CHECK_NEAR(levels[17].sigma, 0.002, 1e-14, "sigma_min");
    CHECK_NEAR(levels[18].sigma, 0, 0, "data");
    CHECK_NEAR(pow(levels[9].sigma, 1.0 / 7), pow(80, 1.0 / 7) + 9.0 / 17 * (pow(0.002, 1.0 / 7) - pow(80, 1.0 / 7)),
               1e-12, "rho spacing");
    vsl_diffusion_free(&d);
}

TEST(sampling_levels_fall_from_noise_to_data)
{
    for (int p = VSL_PROCESS_DDPM; p <= VSL_PROCESS_FLOW; p++) {
        VslDiffusion *d = process((VslDiffusionOptions){.process = p});
        VslLevel levels[51];
        CHECK_OK(vsl_diffusion_levels(d, 50, levels));
        for (int i = 1; i <= 50; i++) {
            CHECK(levels[i].sigma < levels[i - 1].sigma && levels[i].alpha >= levels[i - 1].alpha);
        }
        CHECK_NEAR(levels[50].alpha, 1, 0, "data");
        CHECK_NEAR(levels[50].sigma, 0, 0, "data");
        if (p == VSL_PROCESS_DDPM) {
            CHECK_NEAR(levels[0].time, 999, 0, "trailing steps begin at the last");
            CHECK_NEAR(levels[49].time, 19, 0, "and end one stride above data");
            CHECK_STATUS(vsl_diffusion_levels(d, 1001, levels), VSL_E_ARG);
        }
        CHECK_STATUS(vsl_diffusion_levels(d, 0, levels), VSL_E_ARG);
        vsl_diffusion_free(&d);
    }
}

TEST(training_draws_have_their_distributions)
{
    enum { N = 40000 };
    VslDiffusion *d = process((VslDiffusionOptions){.process = VSL_PROCESS_DDPM});
    VslDiffusion *edm = process((VslDiffusionOptions){.process = VSL_PROCESS_EDM});
    VslDiffusion *flow = process((VslDiffusionOptions){.process = VSL_PROCESS_FLOW});
    double steps = 0, mean = 0, square = 0, times = 0;
    for (uint64_t i = 0; i < N; i++) {
        steps += vsl_diffusion_draw(d, 5, 0, i).time / N;
        const double u = log(vsl_diffusion_draw(edm, 5, 0, i).sigma);
        mean += u / N;
        square += u * u / N;
        times += vsl_diffusion_draw(flow, 5, 0, i).sigma / N;
    }
    CHECK_NEAR(steps, 499.5, 4 * 289 / sqrt(N), "uniform step: four standard errors");
    CHECK_NEAR(mean, -1.2, 4 * 1.2 / sqrt(N), "P_mean");
    CHECK_NEAR(sqrt(square - mean * mean), 1.2, 4 * 1.2 / sqrt(2.0 * N), "P_std");
    CHECK_NEAR(times, 0.5, 4 * 0.289 / sqrt(N), "uniform t");
    vsl_diffusion_free(&flow);
    vsl_diffusion_free(&edm);
    vsl_diffusion_free(&d);
}

TEST(a_noisy_batch_is_what_its_levels_say)
{
    enum { B = 4, N = B * 6 };
    NnRuntime *rt = runtime(NN_FLOAT32);
    for (int p = VSL_PROCESS_DDPM; p <= VSL_PROCESS_FLOW; p++) {
        VslDiffusion *d = process((VslDiffusionOptions){.process = p});
        NnScope *s = nn_scope_open(rt, NN_INFER);
        float x[N], split[N / 2], noisy[N], z[N], time[B], target[N], back[N];
        for (int i = 0; i < N; i++) {
            x[i] = (float)sin(i);
        }
        NnTensor *x0 = nn_from_floats(s, x, NN_SHAPE(B, 1, 2, 3));
        const VslNoised n = vsl_diffusion_noise(s, d, x0, 7, 3, 100);
        const VslNoised half = vsl_diffusion_noise(s, d, nn_slice(s, x0, 0, 2, 4), 7, 3, 102);
        nn_to_floats(s, noisy, N, n.noisy);
        nn_to_floats(s, z, N, n.z);
        nn_to_floats(s, time, B, n.time);
        nn_to_floats(s, target, N, n.target);
        nn_to_floats(s, split, N / 2, half.noisy);
        nn_to_floats(s, back, N, vsl_diffusion_x0(s, &n, n.target));
        CHECK_NEAR(nn_item(s, vsl_diffusion_loss(s, &n, n.target)), 0, 0, "the target has no loss");
        const double off = nn_item(s, vsl_diffusion_loss(s, &n, nn_affine(s, n.target, 1, 2)));
        CHECK_NEAR(off, 4, 1e-5, "unweighted: an error of 2 everywhere");
        CHECK_OK(nn_scope_close(&s));
        for (int i = 0; i < N; i++) {
            const VslLevel l =
                vsl_diffusion_draw(d, 7, vsl_random_stream("diffusion.level") + 3, 100 + (uint64_t)(i / 6));
            CHECK_NEAR(time[i / 6], l.time, 1e-4, "float32 of the level's time");
            CHECK_NEAR(z[i], l.in * noisy[i], 1e-5 * (1 + fabs(l.in * noisy[i])), "float32");
            const double noise = (noisy[i] - l.alpha * x[i]) / l.sigma;
            CHECK_NEAR(target[i], l.target_x0 * x[i] + l.target_noise * noise, 2e-5 / fmin(l.sigma, 1), "float32");
            CHECK_NEAR(back[i], x[i], 1e-6 * (1 + fabs(l.skip * noisy[i])), "float32");
            if (i >= N / 2) {
                CHECK_NEAR(split[i - N / 2], noisy[i], 0, "a sample knows nothing of its batch");
            }
        }
        vsl_diffusion_free(&d);
    }
    nn_runtime_close(&rt);
}

int main(void)
{
    RUN(every_prediction_gives_back_x0_from_its_own_target);
    RUN(v_eps_and_x0_say_the_same);
    RUN(the_schedules_end_where_the_papers_say);
    RUN(the_number_of_steps_does_not_move_the_end);
    RUN(zero_terminal_snr_ends_in_pure_noise_and_keeps_the_first_step);
    RUN(min_snr_weights_agree_between_predictions);
    RUN(edm_preconditioning_is_the_papers);
    RUN(sampling_levels_fall_from_noise_to_data);
    RUN(training_draws_have_their_distributions);
    RUN(a_noisy_batch_is_what_its_levels_say);
    return CHECK_VERDICT();
}
