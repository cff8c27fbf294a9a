/* Films: what is printed on them follows from the rays, the masks from the same rays, and the noise from counting. */
#include <string.h>

#include "../check.h"
#include "core/memory.h"
#include "phantom/radiograph_private.h"

static VslRadiographOptions small(int view)
{
    return (VslRadiographOptions){.size = {48, 48}, .seed = 5, .lesions = 1, .view = view, .threads = 2};
}

static int same(const VslRadiograph *a, const VslRadiograph *b)
{
    const size_t n = (size_t)vsl_grid_voxels(&a->film.grid);
    int is_same = a->masks == b->masks && a->age_years == b->age_years && a->findings == b->findings &&
                  memcmp(a->film.data, b->film.data, n * sizeof(float)) == 0 &&
                  memcmp(a->finding, b->finding, sizeof a->finding) == 0;
    for (int m = 0; m < a->masks && is_same; m++) {
        is_same = memcmp(a->mask[m].data, b->mask[m].data, n * sizeof(int32_t)) == 0;
    }
    return is_same;
}

static const int32_t *mask(const VslRadiograph *r, const char *name)
{
    for (int m = 0; m < r->masks; m++) {
        if (strcmp(r->mask_name[m], name) == 0) {
            return r->mask[m].data;
        }
    }
    return NULL;
}

/* Count of a mask and its mean column and row. */
static double centre_of(const VslRadiograph *r, const char *name, double at[2])
{
    const int32_t *m = mask(r, name);
    const int64_t *n = r->film.grid.n;
    double count = 0;
    at[0] = at[1] = 0;
    for (int64_t i = 0; i < n[0] * n[1]; i++) {
        count += m[i];
        at[0] += m[i] * (double)(i % n[0]);
        at[1] += m[i] * (double)(i / n[0]);
    }
    at[0] /= count;
    at[1] /= count;
    return count;
}

TEST(threads_do_not_change_a_bit)
{
    for (int view = VSL_VIEW_CHEST; view <= VSL_VIEW_PANORAMIC; view++) {
        VslRadiographOptions one = small(view), five = small(view);
        VslRadiograph a = {0}, b = {0}, other = {0}, later = {0};
        one.threads = 1;
        five.threads = 5;
        CHECK_OK(vsl_radiograph_make(&a, &one, 3, 2));
        CHECK_OK(vsl_radiograph_make(&b, &five, 3, 2));
        CHECK_OK(vsl_radiograph_make(&other, &one, 4, 2));
        CHECK_OK(vsl_radiograph_make(&later, &one, 3, 3));
        CHECK(same(&a, &b));
        CHECK(!same(&a, &other) && !same(&a, &later));
        vsl_radiograph_free(&a);
        vsl_radiograph_free(&b);
        vsl_radiograph_free(&other);
        vsl_radiograph_free(&later);
    }
}

TEST(masks_do_not_depend_on_the_size_of_the_picture)
{
    /* the centre of a pixel of the small picture is the centre of every third of the large one */
    for (int view = VSL_VIEW_CHEST; view <= VSL_VIEW_PANORAMIC; view++) {
        VslRadiographOptions few = small(view), many = small(view);
        VslRadiograph a = {0}, b = {0};
        int64_t differ = 0, set = 0;
        many.size[0] = many.size[1] = 144;
        CHECK_OK(vsl_radiograph_make(&a, &few, 2, 1));
        CHECK_OK(vsl_radiograph_make(&b, &many, 2, 1));
        CHECK(a.age_years == b.age_years && a.is_male == b.is_male && a.findings == b.findings);
        for (int m = 0; m < a.masks; m++) {
            for (int64_t i = 0; i < 48 * 48; i++) {
                const int64_t at = (3 * (i / 48) + 1) * 144 + 3 * (i % 48) + 1;
                differ += a.mask[m].data[i] != b.mask[m].data[at];
                set += a.mask[m].data[i];
            }
        }
        CHECK(differ == 0);
        CHECK(set > 500);
        vsl_radiograph_free(&a);
        vsl_radiograph_free(&b);
    }
}

TEST(a_mask_is_where_points_on_the_ray_are_in_the_organ)
{
    const VslRadiographOptions asked = small(VSL_VIEW_CHEST);
    VslRadiographOptions opt;
    PhChestFilm film;
    VslRadiograph r = {0};
    int *all = NULL;
    CHECK_OK(vsl_radiograph_resolve(&opt, &asked));
    CHECK_OK(ph_chest_film(&film, &opt, 2, 1));
    CHECK_OK(vsl_radiograph_make(&r, &opt, 2, 1));
    CHECK_OK(VSL_NEW(&all, film.scene.solids, "solids"));
    int wrong = 0, in_lung = 0, missed = 0;
    for (int row = 3; row < 48; row += 7) {
        for (int column = 2; column < 48; column += 5) {
            double from, to, marched[PH_MAX_ORGANS] = {0}, dense = 0;
            const PhRay ray = film.camera.ray(film.camera.who, (column + 0.5) / 48, (row + 0.5) / 48, &from, &to);
            const PhBundle alone = {ray, {ray.near, 0.5 * (ray.near + ray.far), ray.far}, {0, 0, 0}};
            const int count = ph_scene_near(&film.scene, NULL, (int)film.scene.solids, &alone, all);
            PhScene met = film.scene; /* only the solids on this ray: points elsewhere are not asked for */
            PhSolid *on_ray = NULL;
            CHECK_OK(VSL_NEW(&on_ray, count + 1, "solids"));
            for (int i = 0; i < count; i++) {
                on_ray[i] = film.scene.solid[all[i]];
            }
            met.solid = on_ray;
            met.solids = count;
            const double step = 0.05;
            uint32_t touched = 0;
            for (double t = ray.near + 0.5 * step; t < ray.far; t += step) {
                const PhPoint p = ph_plus(ray.origin, t, ray.along);
                const int body = ph_scene_body_at(&met, p);
                if (body >= 0) {
                    marched[met.body[body].organ] += step;
                    dense += met.body[body].material == PH_CORTICAL ? step : 0;
                }
                for (int i = 0; i < count; i++) {
                    touched |= (uint32_t)ph_solid_holds(&on_ray[i], p) << met.body[on_ray[i].body].organ;
                }
            }
            PhPath path;
            ph_scene_cast(&film.scene, all, count, &ray, from, to, &path);
            CHECK_NEAR(path.layer[PH_CORTICAL], dense, 4, "0.05 mm at each of up to 80 ends of thin shells");
            for (int organ = 1; organ < PH_MAX_ORGANS; organ++) {
                wrong += fabs(path.seen[organ] - marched[organ]) > 3;
            }
            missed += (touched & ~path.touched) != 0;
            const int is_covered = (touched >> PH_O_HEART | touched >> PH_O_MEDIASTINUM | touched >> PH_O_ABDOMEN) & 1;
            const int64_t at = row * 48 + column;
            if (marched[PH_O_RIGHT_LUNG] > 1 && !is_covered) {
                in_lung++;
                wrong += mask(&r, "right_lung")[at] != 1;
            }
            wrong += mask(&r, "right_lung")[at] && (is_covered || marched[PH_O_RIGHT_LUNG] <= 0);
            wrong += mask(&r, "heart")[at] != (int)(touched >> PH_O_HEART & 1);
            wrong += mask(&r, "nodule")[at] != (marched[PH_O_NODULE] > 0);
            vsl_free(on_ray);
        }
    }
    CHECK(wrong == 0);
    CHECK(missed == 0);
    CHECK(in_lung > 5);
    vsl_free(all);
    ph_scene_free(&film.scene);
    vsl_radiograph_free(&r);
}

static PhRay straight_ray(const void *who, double u, double v, double *from, double *to)
{
    const double side = *(const double *)who;
    const PhRay r = {ph_point((0.5 - u) * side, -200, (0.5 - v) * side), ph_point(0, 1, 0), 0, 400};
    *from = 0;
    *to = 400;
    return r;
}

TEST(a_uniform_ellipsoid_lets_through_what_beer_and_lambert_say)
{
    const double side = 300;
    const int64_t n[2] = {301, 301};
    PhScene s = {0};
    PhProjection p = {0};
    const PhCamera camera = {straight_ray, &side, side, side, 0, PH_SOFT};
    const PhBeam beam = ph_beam_chest();
    ph_scene_body(&s, PH_SOFT, PH_INTO_ALL, 4);
    ph_scene_add(&s, ph_ball(ph_point(20, 5, -10), ph_point(90, 60, 110), NULL));
    CHECK_OK(ph_project(&p, &s, &camera, &beam, n, 3));
    int wrong = 0;
    for (int64_t i = 0; i < n[0] * n[1]; i++) {
        const double x = (0.5 - ((double)(i % n[0]) + 0.5) / 301) * side,
                     z = (0.5 - ((double)(i / n[0]) + 0.5) / 301) * side;
        const double q = 1 - (x - 20) * (x - 20) / 8100 - (z + 10) * (z + 10) / 12100,
                     chord = q > 0 ? 2 * 60 * sqrt(q) : 0;
        for (int e = 0; e < PH_ENERGIES; e++) {
            wrong += !(fabs((double)p.clear[e][i] - exp(-beam.mu[e][PH_SOFT] * chord)) < 1e-6); /* float32 near 1 */
        }
        wrong += (int)(p.seen[i] >> 4 & 1) != (chord > 0);
    }
    CHECK(wrong == 0);
    /* soft tissue at 60 keV: 0.205 cm^2/g, so that 47.0 mm of muscle halve twice... and metal stops more than bone */
    CHECK_NEAR(beam.mu[1][PH_SOFT], 0.0215, 0.0005, "0.2048 cm^2/g times 1.05 g/cm^3 at 60 keV");
    CHECK(beam.mu[1][PH_LUNG_TISSUE] < beam.mu[1][PH_FAT] && beam.mu[1][PH_FAT] < beam.mu[1][PH_SOFT] &&
          beam.mu[1][PH_SOFT] < beam.mu[1][PH_SPONGY] && beam.mu[1][PH_SPONGY] < beam.mu[1][PH_CORTICAL] &&
          beam.mu[1][PH_DENTIN] < beam.mu[1][PH_ENAMEL] && beam.mu[1][PH_ENAMEL] < beam.mu[1][PH_HEAVY_METAL]);
    ph_projection_free(&p);
    ph_scene_free(&s);
}

TEST(poisson_numbers_have_the_mean_variance_and_skewness_of_their_law)
{
    static const double means[] = {0.3, 4, 30, 63.9, 64, 250, 20000};
    enum { COUNT = 200000 };
    for (size_t m = 0; m < sizeof means / sizeof means[0]; m++) {
        const double mean = means[m], sd = sqrt(mean);
        double sum = 0, square = 0, cube = 0;
        int odd = 0;
        for (uint64_t i = 0; i < COUNT; i++) {
            const double k = ph_poisson(mean, 3, 50 + m, i), d = (k - mean) / sd;
            odd += !(k >= 0 && k == floor(k));
            sum += d;
            square += d * d;
            cube += d * d * d;
        }
        CHECK(odd == 0);
        CHECK_NEAR(sum / COUNT, 0, 5 / sqrt(COUNT), "5 standard errors");
        CHECK_NEAR(square / COUNT, 1 + (mean >= 64 ? 1 / (12 * mean) : 0), 5 * sqrt((2 + 1 / mean) / COUNT),
                   "5 standard errors");
        CHECK_NEAR(cube / COUNT, 1 / sd, 5 * sqrt((15 + 40 / mean + 1 / (mean * mean)) / COUNT) + 0.02 / sd,
                   "5 standard errors");
    }
    CHECK(ph_poisson(0, 1, 1, 1) == 0);
}

TEST(an_open_field_has_the_noise_of_its_photons)
{
    const double side = 100;
    const int64_t n[2] = {160, 160};
    PhScene s = {0};
    PhProjection p = {0};
    VslVolume film = {0};
    const PhCamera camera = {straight_ray, &side, side, side, 0, PH_SOFT};
    const PhBeam beam = ph_beam_chest();
    ph_scene_body(&s, PH_SOFT, PH_INTO_ALL, 1);
    ph_scene_add(&s, ph_ball(ph_point(0, 0, 0), ph_point(1e4, 50, 1e4), NULL)); /* a plate of 100 mm */
    CHECK_OK(ph_project(&p, &s, &camera, &beam, n, 2));
    const double area = p.pixel_mm[0] * p.pixel_mm[1], wanted = 400;
    const PhExposure how = {.photons_per_mm2 = wanted / area,
                            .gamma = 1,
                            .middle_grey = 0.5,
                            .seed = 9,
                            .stream = 4,
                            .scatter_mm = 10,
                            .scatter = 0.3};
    CHECK_OK(ph_expose(&film, &p, &beam, &how, 2));
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n[0] * n[1]; i++) { /* back through the response: light relative to the mean logarithm */
        const double light = 65535 / (double)film.data[i] - 1;
        sum += light;
        square += light * light;
    }
    const double count = (double)(n[0] * n[1]), mean = sum / count, variance = square / count - mean * mean;
    CHECK_NEAR(mean * mean / variance, wanted, 0.05 * wanted, "4 standard errors of a variance of 25600 pixels");
    vsl_volume_free(&film);
    ph_projection_free(&p);
    ph_scene_free(&s);
}

TEST(the_patients_left_is_at_the_right_and_dense_is_bright)
{
    for (int subject = 1; subject <= 6; subject++) {
        const VslRadiographOptions opt = {.size = {96, 96}, .seed = 2, .threads = 2};
        VslRadiograph r = {0};
        double right[2], left[2], heart[2], middle, bright[2] = {0};
        CHECK_OK(vsl_radiograph_make(&r, &opt, subject, 1));
        CHECK(r.masks == 5 && r.findings == 0);
        const double big = centre_of(&r, "right_lung", right), other = centre_of(&r, "left_lung", left);
        CHECK(centre_of(&r, "heart", heart) > 0.03 * 96 * 96);
        CHECK(big > 0.08 * 96 * 96 && other > 0.06 * 96 * 96 && big < 0.3 * 96 * 96);
        middle = 0.5 * (right[0] + left[0]);
        CHECK(right[0] < middle - 15 && left[0] > middle + 15);
        CHECK(heart[0] > middle); /* the heart lies more to the patient's left */
        centre_of(&r, "right_clavicle", right);
        centre_of(&r, "left_clavicle", left);
        CHECK(right[0] < middle && left[0] > middle && right[1] < heart[1] - 10);
        for (int64_t i = 0; i < 96 * 96; i++) { /* lungs are darker than the heart */
            bright[0] += mask(&r, "right_lung")[i] ? (double)r.film.data[i] / big : 0;
            bright[1] += mask(&r, "heart")[i] && !mask(&r, "right_lung")[i]
                             ? (double)r.film.data[i] / centre_of(&r, "heart", heart)
                             : 0;
        }
        CHECK(65535 - bright[1] < 0.75 * (65535 - bright[0])); /* from white: also on films that are bright all over */
        vsl_radiograph_free(&r);
    }
}

/* Percent of the film: areas, columns and rows of the centres, means over the JSRT films of docs/phantom.md. */
TEST(chests_are_as_large_and_stand_where_those_of_real_films_do)
{
    static const struct {
        const char *name;
        double area, at[2];
    } real[] = {{"right_lung", 16.8, {28.4, 42.9}},
                {"left_lung", 13.6, {74.1, 40.8}},
                {"heart", 9.1, {56.5, 61.4}},
                {"right_clavicle", 0.96, {35.3, 16.6}},
                {"left_clavicle", 0.96, {64.9, 15.9}}};
    enum { PEOPLE = 40, STRUCTURES = sizeof real / sizeof real[0] };
    const VslRadiographOptions opt = {.size = {96, 96}, .seed = 11, .threads = 2};
    double sum[STRUCTURES][3] = {{0}};
    VslRadiograph r = {0};
    for (int subject = 1; subject <= PEOPLE; subject++) {
        CHECK_OK(vsl_radiograph_make(&r, &opt, subject, 1));
        for (int s = 0; s < STRUCTURES; s++) {
            double at[2];
            sum[s][0] += 100 * centre_of(&r, real[s].name, at) / (96.0 * 96 * PEOPLE);
            sum[s][1] += 100 * (at[0] + 0.5) / (96.0 * PEOPLE);
            sum[s][2] += 100 * (at[1] + 0.5) / (96.0 * PEOPLE);
        }
    }
    for (int s = 0; s < STRUCTURES; s++) {
        CHECK_NEAR(sum[s][0], real[s].area, 0.15 * real[s].area, "15 percent; the mean of 40 people is within 3");
        CHECK_NEAR(sum[s][1], real[s].at[0], 3, "3 percent of the film; a standard error is 0.4");
        CHECK_NEAR(sum[s][2], real[s].at[1], 4, "4 percent of the film; a standard error is 0.9");
    }
    vsl_radiograph_free(&r);
}

TEST(teeth_lie_where_their_numbers_say)
{
    for (int subject = 1; subject <= 4; subject++) {
        const VslRadiographOptions opt = {
            .size = {160, 80}, .seed = 6, .view = VSL_VIEW_PANORAMIC, .lesions = 1, .threads = 2};
        VslRadiograph r = {0};
        double upper[2], lower[2], jaw[2];
        CHECK_OK(vsl_radiograph_make(&r, &opt, subject, 1));
        CHECK(r.masks == 10);
        CHECK(centre_of(&r, "upper_incisor", upper) > 20 && centre_of(&r, "lower_incisor", lower) > 20);
        CHECK(centre_of(&r, "mandible", jaw) > 1000);
        CHECK(upper[1] < lower[1] && fabs(upper[0] - 79.5) < 8 && lower[1] < 0.8 * 80);
        CHECK(r.findings >= 1);
        for (int i = 0; i < r.findings; i++) {
            const VslRadiographFinding *f = &r.finding[i];
            const int quadrant = f->tooth / 10;
            CHECK(strcmp(f->side, quadrant == 1 || quadrant == 4 ? "right" : "left") == 0);
            CHECK((f->at[0] < 79.5) == (strcmp(f->side, "right") == 0));
        }
        vsl_radiograph_free(&r);
    }
}

/* How many pixels of the mask lie within `far` pixels of the place. */
static int64_t near_place(const VslRadiograph *r, const char *name, const double at[2], double far)
{
    const int64_t *n = r->film.grid.n;
    const int32_t *m = mask(r, name);
    int64_t count = 0;
    for (int64_t i = 0; i < n[0] * n[1]; i++) {
        const double x = (double)(i % n[0]) - at[0], y = (double)(i / n[0]) - at[1];
        count += m[i] && x * x + y * y <= far * far;
    }
    return count;
}

TEST(findings_are_where_the_table_says_and_nowhere_else)
{
    int kinds[4] = {0};
    for (int subject = 1; subject <= 12; subject++) {
        const int view = subject % 3 == 0 ? VSL_VIEW_PANORAMIC : VSL_VIEW_CHEST;
        VslRadiographOptions with = {.size = {256, 128}, .seed = 12, .view = view, .lesions = 1, .threads = 2},
                             without = with;
        VslRadiograph ill = {0}, healthy = {0};
        with.size[1] = without.size[1] = view == VSL_VIEW_CHEST ? 256 : 128;
        without.lesions = 0;
        CHECK_OK(vsl_radiograph_make(&ill, &with, subject, 2));
        CHECK_OK(vsl_radiograph_make(&healthy, &without, subject, 2));
        CHECK(ill.findings >= 1);
        for (int m = 0; m < healthy.masks; m++) { /* healthy parts stay: of the lungs, findings may take some */
            int64_t gained = 0, lost = 0;
            for (int64_t i = 0; i < vsl_grid_voxels(&ill.film.grid); i++) {
                gained += ill.mask[m].data[i] && !healthy.mask[m].data[i];
                lost += !ill.mask[m].data[i] && healthy.mask[m].data[i];
            }
            CHECK(gained == 0);
            CHECK(lost == 0 || strstr(ill.mask_name[m], "lung"));
        }
        for (int m = healthy.masks; m < ill.masks; m++) {
            int64_t all = 0, listed = 0, is_listed = 0;
            for (int64_t i = 0; i < vsl_grid_voxels(&ill.film.grid); i++) {
                all += ill.mask[m].data[i];
            }
            for (int f = 0; f < ill.findings; f++) {
                const VslRadiographFinding *at = &ill.finding[f];
                if (strcmp(at->kind, ill.mask_name[m]) != 0) {
                    continue;
                }
                is_listed++;
                kinds[m - healthy.masks] += view == VSL_VIEW_CHEST;
                kinds[3] += view == VSL_VIEW_PANORAMIC;
                /* lobes reach 1.3 radii, and the film is up to a fifth larger than the body */
                const double far = view == VSL_VIEW_PANORAMIC ? at->radius_mm / ill.pixel_mm[0] * 1.6 + 1
                                                              : at->radius_mm / ill.pixel_mm[0] * 1.7 + 1;
                if (strcmp(at->kind, "effusion") != 0) {
                    const int64_t here = near_place(&ill, at->kind, at->at, far);
                    const double disc = 3.14159 * at->radius_mm * at->radius_mm / (ill.pixel_mm[0] * ill.pixel_mm[1]);
                    listed += here;
                    CHECK((double)here > 0.25 * disc);
                } else {
                    listed = all;
                    CHECK(all > 50);
                }
            }
            CHECK(listed >= all); /* two findings of a kind may share pixels */
            CHECK(is_listed || all == 0);
        }
        vsl_radiograph_free(&ill);
        vsl_radiograph_free(&healthy);
    }
    CHECK(kinds[0] > 0 && kinds[1] > 0 && kinds[2] > 0 && kinds[3] > 0);
}

TEST(visits_are_of_one_person_whose_nodules_grow_in_place)
{
    const VslRadiographOptions opt = {.size = {64, 64}, .seed = 3, .lesions = 1, .threads = 2};
    int nodules = 0;
    for (int subject = 1; subject <= 6; subject++) {
        VslRadiograph a = {0}, b = {0};
        CHECK_OK(vsl_radiograph_make(&a, &opt, subject, 1));
        CHECK_OK(vsl_radiograph_make(&b, &opt, subject, 2));
        CHECK(a.is_male == b.is_male && a.age_years >= 20 && a.age_years <= 88);
        CHECK(b.age_years - a.age_years > 1.5 - 1e-9 && b.age_years - a.age_years < 2.5 + 1e-9);
        CHECK(a.findings == b.findings);
        for (int f = 0; f < a.findings; f++) {
            CHECK(memcmp(a.finding[f].centre_mm, b.finding[f].centre_mm, sizeof a.finding[f].centre_mm) == 0);
            if (strcmp(a.finding[f].kind, "nodule") == 0) {
                nodules++;
                CHECK(b.finding[f].radius_mm > a.finding[f].radius_mm + 0.2);
            }
        }
        vsl_radiograph_free(&a);
        vsl_radiograph_free(&b);
    }
    CHECK(nodules > 0);
}

TEST(refusals_and_failures_leave_the_output_alone)
{
    const VslRadiographOptions good = small(VSL_VIEW_CHEST);
    VslRadiograph r = {0};
    VslRadiographOptions o;
    CHECK_OK(vsl_radiograph_make(&r, &good, 1, 1));
    const float *kept = r.film.data;
    VslRadiographOptions bad = good;
    bad.size[0] = 8;
    CHECK_STATUS(vsl_radiograph_make(&r, &bad, 1, 1), VSL_E_ARG);
    bad = good;
    bad.view = 3;
    CHECK_STATUS(vsl_radiograph_resolve(&o, &bad), VSL_E_ARG);
    bad = good;
    bad.scatter_percent = 95;
    CHECK_STATUS(vsl_radiograph_make(&r, &bad, 1, 1), VSL_E_ARG);
    CHECK_STATUS(vsl_radiograph_make(&r, &good, 0, 1), VSL_E_ARG);
    CHECK_STATUS(vsl_radiograph_make(&r, &good, 1, 0), VSL_E_ARG);
    const int64_t held = vsl_memory_now();
    int failed = 0;
    for (int view = VSL_VIEW_CHEST; view <= VSL_VIEW_PANORAMIC; view++) {
        bad = small(view);
        for (int n = 1; n < 80; n++) {
            VslRadiograph made = {0};
            vsl_memory_fail_after(n);
            const VslStatus st = vsl_radiograph_make(&made, &bad, 2, 1);
            vsl_memory_fail_after(0);
            failed += st == VSL_E_NOMEM;
            CHECK(st == VSL_OK || (st == VSL_E_NOMEM && made.film.data == NULL));
            vsl_radiograph_free(&made);
            if (st == VSL_OK) {
                break;
            }
        }
    }
    CHECK(failed > 30);
    CHECK(vsl_memory_now() == held);
    CHECK(r.film.data == kept);
    vsl_radiograph_free(&r);
}

int main(void)
{
    RUN(threads_do_not_change_a_bit);
    RUN(masks_do_not_depend_on_the_size_of_the_picture);
    RUN(a_mask_is_where_points_on_the_ray_are_in_the_organ);
    RUN(a_uniform_ellipsoid_lets_through_what_beer_and_lambert_say);
    RUN(poisson_numbers_have_the_mean_variance_and_skewness_of_their_law);
    RUN(an_open_field_has_the_noise_of_its_photons);
    RUN(the_patients_left_is_at_the_right_and_dense_is_bright);
    RUN(chests_are_as_large_and_stand_where_those_of_real_films_do);
    RUN(teeth_lie_where_their_numbers_say);
    RUN(findings_are_where_the_table_says_and_nowhere_else);
    RUN(visits_are_of_one_person_whose_nodules_grow_in_place);
    RUN(refusals_and_failures_leave_the_output_alone);
    return CHECK_VERDICT();
}
