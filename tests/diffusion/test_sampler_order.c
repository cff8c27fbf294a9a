/* The order of each sampler, seen as steps double, in float64: against the exact flow of a Gaussian, and against a fine
 * run on a mixture, whose flow is not linear. */
#include "diffusion/sampler.h"

#include "tests/diffusion/mixture.h"

enum { N = 8, MOST = 2048 };

/* Smooth levels with noise at both ends: the last step to pure data would add an error of its own. */
static void levels_of(VslLevel *levels, int process, int steps)
{
    for (int i = 0; i <= steps; i++) {
        const double f = (double)i / steps;
        VslLevel l = {.in = 1};
        if (process == VSL_PROCESS_EDM) {
            l.alpha = 1;
            l.sigma = pow(pow(20, 1.0 / 7) + f * (pow(0.02, 1.0 / 7) - pow(20, 1.0 / 7)), 7);
        } else if (process == VSL_PROCESS_FLOW) {
            l.sigma = 0.95 + f * (0.05 - 0.95);
            l.alpha = 1 - l.sigma;
        } else {
            const double t = 0.97 + f * (0.03 - 0.97); /* on the cosine schedule */
            l.alpha = cos(t * acos(-1) / 2);
            l.sigma = sin(t * acos(-1) / 2);
        }
        levels[i] = l;
    }
}

/* Ends of N points that start at fixed places. */
static void flow_to_the_end(double *end, NnRuntime *rt, int process, int sampler, int steps, const VslDenoiser *m)
{
    static VslLevel levels[MOST + 1];
    levels_of(levels, process, steps);
    float start[N];
    for (int i = 0; i < N; i++) {
        start[i] = (float)(levels[0].sigma * (i - 3.3) / 2.5);
    }
    NnScope *s = nn_scope_open(rt, NN_INFER);
    NnTensor *z = nn_from_floats(s, start, NN_SHAPE(N, 1, 1, 1));
    const VslSamplerOptions opt = {.sampler = sampler};
    nn_to_doubles(s, end, N, vsl_sample_levels(s, rt, m, z, levels, steps + 1, &opt));
    CHECK_OK(nn_scope_close(&s));
}

static double error_of(NnRuntime *rt, int process, int sampler, int steps, const VslDenoiser *m, const double *exact)
{
    double end[N], most = 0;
    flow_to_the_end(end, rt, process, sampler, steps, m);
    for (int i = 0; i < N; i++) {
        most = fmax(most, fabs(end[i] - exact[i]));
    }
    return most;
}

static const char *const process_name[] = {"", "ddpm", "edm", "flow"};
static const char *const sampler_name[] = {"", "ddim", "ddpm", "heun", "dpmpp2m"};

static void check_order(NnRuntime *rt, int process, int sampler, const VslDenoiser *m, const double *exact,
                        double order)
{
    double before = error_of(rt, process, sampler, 128, m, exact);
    for (int steps = 256; steps <= 512; steps *= 2) {
        const double now = error_of(rt, process, sampler, steps, m, exact), found = log2(before / now);
        printf("  %-5s %-8s %4d steps: error %.3g, order %.3f\n", process_name[process], sampler_name[sampler], steps,
               now, found);
        CHECK_NEAR(found, order, 0.12, "log2 of the error's ratio as steps double");
        before = now;
    }
}

static const struct {
    int sampler;
    double order;
} orders[] = {{VSL_SAMPLER_DDIM, 1}, {VSL_SAMPLER_HEUN, 2}, {VSL_SAMPLER_DPMPP2M, 2}};

TEST(orders_on_a_gaussian_against_its_exact_flow)
{
    const double mu = 0.4, sd = 0.6;
    NnRuntime *rt = runtime(NN_FLOAT64);
    Gaussian g = {mu, sd};
    const VslDenoiser m = {gaussian_denoise, &g};
    for (int p = VSL_PROCESS_DDPM; p <= VSL_PROCESS_FLOW; p++) {
        VslLevel ends[MOST + 1];
        levels_of(ends, p, 128);
        const VslLevel a = ends[0], b = ends[128];
        const double scale =
            sqrt((b.alpha * b.alpha * sd * sd + b.sigma * b.sigma) / (a.alpha * a.alpha * sd * sd + a.sigma * a.sigma));
        double exact[N];
        for (int i = 0; i < N; i++) {
            const double z = (double)(float)(a.sigma * (i - 3.3) / 2.5);
            exact[i] = b.alpha * mu + scale * (z - a.alpha * mu);
        }
        for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
            check_order(rt, p, orders[i].sampler, &m, exact, orders[i].order);
        }
    }
    nn_runtime_close(&rt);
}

TEST(orders_on_a_mixture_against_a_fine_run)
{
    NnRuntime *rt = runtime(NN_FLOAT64);
    Mixture two = {
        .parts = 2, .dims = 1, .is_float64 = true, .weight = {0.6, 0.4}, .sd = {0.4, 0.5}, .mean = {{-0.7}, {0.8}}};
    const VslDenoiser m = {mixture_denoise, &two};
    for (int p = VSL_PROCESS_DDPM; p <= VSL_PROCESS_FLOW; p++) {
        double coarse[N], fine[N];
        flow_to_the_end(coarse, rt, p, VSL_SAMPLER_HEUN, MOST / 2, &m);
        flow_to_the_end(fine, rt, p, VSL_SAMPLER_HEUN, MOST, &m);
        for (int i = 0; i < N; i++) {
            fine[i] += (fine[i] - coarse[i]) / 3; /* Richardson: the second-order error goes */
        }
        for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
            check_order(rt, p, orders[i].sampler, &m, fine, orders[i].order);
        }
    }
    nn_runtime_close(&rt);
}

int main(void)
{
    RUN(orders_on_a_gaussian_against_its_exact_flow);
    RUN(orders_on_a_mixture_against_a_fine_run);
    return CHECK_VERDICT();
}
