/* Two-loop recursion over fields. */
#include "registration/lbfgs.h"

#include <math.h>

enum { MAX_HISTORY = 16, MAX_WINDOW = 16, MAX_BACKTRACKS = 8 };

typedef struct Memory { /* ring of the newest pairs */
    VslField s[MAX_HISTORY], y[MAX_HISTORY];
    double rho[MAX_HISTORY];
    int size, newest, capacity;
    double scale; /* <s, y> / <y, y> of the newest pair */
} Memory;

/* d = -H g */
static VslStatus direction(VslField *d, const VslField *g, const Memory *m)
{
    VslStatus st = VSL_OK;
    double a[MAX_HISTORY];
    VSL_TRY(vsl_field_axpby(d, -1, g, 0));
    for (int q = 0; q < m->size; q++) {
        const int i = (m->newest - q + m->capacity) % m->capacity;
        VSL_TRY(vsl_field_dot(&a[i], &m->s[i], d));
        a[i] *= m->rho[i];
        VSL_TRY(vsl_field_axpby(d, -a[i], &m->y[i], 1));
    }
    if (m->size > 0) {
        VSL_TRY(vsl_field_axpby(d, m->scale, d, 0));
    }
    for (int q = m->size - 1; q >= 0; q--) {
        const int i = (m->newest - q + m->capacity) % m->capacity;
        double b = 0;
        VSL_TRY(vsl_field_dot(&b, &m->y[i], d));
        VSL_TRY(vsl_field_axpby(d, a[i] - b * m->rho[i], &m->s[i], 1));
    }
out:
    return st;
}

static void swap_fields(VslField *a, VslField *b)
{
    const VslField keep = *a;
    *a = *b;
    *b = keep;
}

/* Slot of the next pair; its y takes the gradient of trial points. */
static VslStatus next_slot(int *slot, Memory *m, const VslField *like)
{
    VslStatus st = VSL_OK;
    const int i = m->size == 0 ? 0 : (m->newest + 1) % m->capacity;
    if (!m->s[i].data) {
        VSL_TRY(vsl_field_new(&m->s[i], like->be, like->n, like->channels));
        VSL_TRY(vsl_field_new(&m->y[i], like->be, like->n, like->channels));
    }
    *slot = i;
out:
    return st;
}

/* The slot holds the new gradient; g the old one. Stores s = step d and y = g_new - g_old when their curvature is
 * positive; g becomes the new gradient, d is used up. */
static VslStatus remember(Memory *m, int i, VslField *d, double step, VslField *g)
{
    VslStatus st = VSL_OK;
    double sy = 0, yy = 0, ss = 0;
    VSL_TRY(vsl_field_axpby(d, step, d, 0));
    swap_fields(d, &m->s[i]);
    VSL_TRY(vsl_field_axpby(g, 1, &m->y[i], -1));
    swap_fields(g, &m->y[i]);
    VSL_TRY(vsl_field_dot(&sy, &m->s[i], &m->y[i]));
    VSL_TRY(vsl_field_dot(&yy, &m->y[i], &m->y[i]));
    VSL_TRY(vsl_field_dot(&ss, &m->s[i], &m->s[i]));
    if (sy > 1e-8 * sqrt(ss * yy)) {
        m->rho[i] = 1 / sy;
        m->scale = sy / yy;
        m->newest = i;
        m->size += m->size < m->capacity;
    } else if (m->size == m->capacity) {
        m->size--; /* the overwritten slot was the oldest pair */
    }
out:
    return st;
}

VslStatus reg_lbfgs(RegLbfgsResult *out, VslField *x, RegObjective *objective, RegIterationFn *iteration, void *ctx,
                    const RegLbfgsOptions *opt)
{
    VslStatus st = VSL_OK;
    Memory memory = {.capacity = opt->history < MAX_HISTORY ? opt->history : MAX_HISTORY};
    VslField g = {0}, d = {0}, trial = {0};
    RegLbfgsResult r = {0};
    double energy = 0, past[MAX_WINDOW], gg = 0, gg_first = 0;
    const int window = opt->window < MAX_WINDOW ? opt->window : MAX_WINDOW;
    VslField *all[3] = {&g, &d, &trial};
    for (int i = 0; i < 3; i++) {
        VSL_TRY(vsl_field_new(all[i], x->be, x->n, x->channels));
    }
    VSL_TRY(objective(ctx, &energy, &g, x));
    VSL_CHECK(isfinite(energy), VSL_E_NUMERIC, "the energy is not finite at the start");
    r.energy_before = energy;
    r.evaluations = 1;
    VSL_TRY(vsl_field_dot(&gg_first, &g, &g));
    gg = gg_first;
    while (r.iterations < opt->iterations && gg > opt->gradient_tolerance * opt->gradient_tolerance * gg_first) {
        double slope = 0, step = 1, energy_new = 0;
        int tries = 0, slot = 0;
        VSL_TRY(direction(&d, &g, &memory));
        VSL_TRY(vsl_field_dot(&slope, &d, &g));
        if (!(slope < 0)) { /* rounding spoilt the model: steepest descent again */
            memory.size = 0;
            VSL_TRY(vsl_field_axpby(&d, -1, &g, 0));
            slope = -gg;
        }
        if (memory.size == 0) {
            step = opt->first_step / sqrt(gg / (double)vsl_field_count(&g));
        }
        VSL_TRY(next_slot(&slot, &memory, x));
        for (;; tries++) {
            VSL_TRY(vsl_field_copy(&trial, x));
            VSL_TRY(vsl_field_axpby(&trial, step, &d, 1));
            VSL_TRY(objective(ctx, &energy_new, &memory.y[slot], &trial));
            r.evaluations++;
            if (energy_new <= energy + 1e-4 * step * slope || tries == MAX_BACKTRACKS) {
                break;
            }
            /* minimum of the parabola through both energies and the slope, kept within a tenth and a half */
            const double fit = -0.5 * slope * step * step / (energy_new - energy - slope * step);
            step = isfinite(fit) && fit > 0.1 * step && fit < 0.5 * step ? fit : (fit >= 0.5 * step ? 0.5 : 0.1) * step;
        }
        if (!(energy_new < energy)) {
            if (memory.size == 0) {
                break; /* not even the gradient's direction goes down any more */
            }
            memory.size = 0;
            continue;
        }
        VSL_TRY(remember(&memory, slot, &d, step, &g));
        VSL_TRY(vsl_field_copy(x, &trial));
        VSL_TRY(vsl_field_dot(&gg, &g, &g));
        past[r.iterations % window] = energy;
        energy = energy_new;
        r.iterations++;
        VSL_CHECK(!iteration || iteration(ctx, r.iterations, energy) == 0, VSL_E_CANCELLED, "stopped on request");
        if (r.iterations >= window &&
            past[r.iterations % window] - energy < opt->energy_tolerance * fabs(past[r.iterations % window])) {
            break;
        }
    }
    r.energy_after = energy;
    *out = r;
out:
    for (int i = 0; i < MAX_HISTORY; i++) {
        vsl_field_free(&memory.s[i]);
        vsl_field_free(&memory.y[i]);
    }
    for (int i = 0; i < 3; i++) {
        vsl_field_free(all[i]);
    }
    return st;
}
