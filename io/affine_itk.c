/* ITK's linear transforms as one affine. ITK keeps a matrix M, a centre c and a translation t in LPS:
 * y = M (x - c) + c + t. Each type has its own parameters for M. Rotations follow itkEuler3DTransform.hxx (z x y, or
 * z y x when the fourth fixed parameter is set) and itkVersor.hxx. */
#include "io/affine_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/path.h"

typedef VslStatus MatrixFn(double m[3][3], double t[3], const double *p, const ItkTransform *whole, const char *path);

static VslStatus from_matrix(double m[3][3], double t[3], const double *p, const ItkTransform *whole, const char *path)
{
    (void)whole;
    (void)path;
    memcpy(m, p, 9 * sizeof *p);
    memcpy(t, p + 9, 3 * sizeof *p);
    return VSL_OK;
}

static void multiply(double out[3][3], double a[3][3], double b[3][3])
{
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++) {
            out[r][c] = a[r][0] * b[0][c] + a[r][1] * b[1][c] + a[r][2] * b[2][c];
        }
    }
}

static VslStatus from_euler(double m[3][3], double t[3], const double *p, const ItkTransform *whole, const char *path)
{
    (void)path;
    const double cx = cos(p[0]), sx = sin(p[0]), cy = cos(p[1]), sy = sin(p[1]), cz = cos(p[2]), sz = sin(p[2]);
    double x[3][3] = {{1, 0, 0}, {0, cx, -sx}, {0, sx, cx}};
    double y[3][3] = {{cy, 0, sy}, {0, 1, 0}, {-sy, 0, cy}};
    double z[3][3] = {{cz, -sz, 0}, {sz, cz, 0}, {0, 0, 1}};
    double inner[3][3];
    const int is_zyx = whole->fixed_parameters == 4 && whole->fixed[3] != 0;
    if (is_zyx) {
        multiply(inner, y, x);
    } else {
        multiply(inner, x, y);
    }
    multiply(m, z, inner);
    memcpy(t, p + 3, 3 * sizeof *p);
    return VSL_OK;
}

/* p: the vector part of a unit quaternion (versor) */
static VslStatus from_versor(double m[3][3], double t[3], const double *p, const ItkTransform *whole, const char *path)
{
    VslStatus st = VSL_OK;
    const double length = sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
    VSL_CHECK(length <= 1 + 1e-6, VSL_E_FORMAT, "%s: %s has a versor of length %g, expected at most 1",
              vsl_path_text(path).text, whole->type, length);
    const double unit = length > 1 ? 1 / length : 1;
    const double x = p[0] * unit, y = p[1] * unit, z = p[2] * unit;
    const double w = sqrt(fmax(0, 1 - x * x - y * y - z * z));
    const double rotation[3][3] = {{1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)},
                                   {2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)},
                                   {2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)}};
    memcpy(m, rotation, sizeof rotation);
    memcpy(t, p + 3, 3 * sizeof *p);
out:
    return st;
}

static VslStatus from_similarity(double m[3][3], double t[3], const double *p, const ItkTransform *whole,
                                 const char *path)
{
    VslStatus st = VSL_OK;
    VSL_TRY(from_versor(m, t, p, whole, path));
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++) {
            m[r][c] *= p[6];
        }
    }
out:
    return st;
}

static VslStatus from_translation(double m[3][3], double t[3], const double *p, const ItkTransform *whole,
                                  const char *path)
{
    (void)whole;
    (void)path;
    const double identity[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    memcpy(m, identity, sizeof identity);
    memcpy(t, p, 3 * sizeof *p);
    return VSL_OK;
}

static const struct ItkType {
    const char *name;
    int parameters, fixed_least, fixed_most;
    MatrixFn *matrix;
} types[] = {
    {"AffineTransform", 12, 3, 3, from_matrix},          {"MatrixOffsetTransformBase", 12, 3, 3, from_matrix},
    {"Rigid3DTransform", 12, 3, 3, from_matrix},         {"Euler3DTransform", 6, 3, 4, from_euler},
    {"VersorRigid3DTransform", 6, 3, 3, from_versor},    {"Similarity3DTransform", 7, 3, 3, from_similarity},
    {"TranslationTransform", 3, 0, 0, from_translation},
};

/* "Euler3DTransform_double_3_3" -> its row of the table */
static VslStatus find_type(const struct ItkType **out, const ItkTransform *t, const char *path)
{
    VslStatus st = VSL_OK;
    const struct ItkType *found = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const size_t length = strlen(types[i].name);
        if (strncmp(t->type, types[i].name, length) == 0 && t->type[length] == '_') {
            found = &types[i];
        }
    }
    VSL_CHECK(found, VSL_E_UNSUPPORTED,
              "%s: holds a transform of type '%s'; read are AffineTransform, MatrixOffsetTransformBase, "
              "Rigid3DTransform, Euler3DTransform, VersorRigid3DTransform, Similarity3DTransform and "
              "TranslationTransform",
              vsl_path_text(path).text, vsl_path_text(t->type).text);
    const char *precision = t->type + strlen(found->name);
    VSL_CHECK(strcmp(precision, "_double_3_3") == 0 || strcmp(precision, "_float_3_3") == 0, VSL_E_UNSUPPORTED,
              "%s: holds a transform of type '%s', expected '%s_double_3_3' or '%s_float_3_3' (3D)",
              vsl_path_text(path).text, vsl_path_text(t->type).text, found->name, found->name);
    *out = found;
out:
    return st;
}

VslStatus itk_to_ras(VslAffine *out, const ItkTransform *t, const char *path)
{
    VslStatus st = VSL_OK;
    const struct ItkType *type = NULL;
    double m[3][3], shift[3];
    VslAffine lps, unused;

    VSL_TRY(find_type(&type, t, path));
    VSL_CHECK(t->parameters == type->parameters, VSL_E_FORMAT, "%s: %s has %d parameters, expected %d",
              vsl_path_text(path).text, t->type, t->parameters, type->parameters);
    VSL_CHECK(t->fixed_parameters >= type->fixed_least && t->fixed_parameters <= type->fixed_most, VSL_E_FORMAT,
              "%s: %s has %d fixed parameters, expected %d", vsl_path_text(path).text, t->type, t->fixed_parameters,
              type->fixed_least);
    for (int i = 0; i < t->parameters + t->fixed_parameters; i++) {
        const double value = i < t->parameters ? t->parameter[i] : t->fixed[i - t->parameters];
        VSL_CHECK(isfinite(value), VSL_E_FORMAT, "%s: %s has the parameter %g, expected a finite number",
                  vsl_path_text(path).text, t->type, value);
    }
    VSL_TRY(type->matrix(m, shift, t->parameter, t, path));
    for (int r = 0; r < 3; r++) {
        lps.m[r][3] = shift[r];
        for (int c = 0; c < 3; c++) {
            const double centre = t->fixed_parameters >= 3 ? t->fixed[c] : 0;
            lps.m[r][c] = m[r][c];
            lps.m[r][3] += (r == c) * centre - m[r][c] * centre;
        }
        VSL_CHECK(isfinite(lps.m[r][3]), VSL_E_FORMAT, "%s: %s moves points to infinity", vsl_path_text(path).text,
                  t->type);
    }
    VSL_CHECK(vsl_affine_invert(&unused, &lps) == VSL_OK, VSL_E_FORMAT,
              "%s: %s is singular (determinant %g), expected a map that can be inverted", vsl_path_text(path).text,
              t->type, vsl_affine_det(&lps));
    *out = vsl_affine_flip_xy(&lps);
out:
    return st;
}

ItkTransform itk_from_ras(const VslAffine *a, const double centre_ras[3])
{
    const VslAffine lps = vsl_affine_flip_xy(a);
    ItkTransform t = {"AffineTransform_double_3_3", {0}, {0}, 12, 3};
    if (centre_ras) {
        for (int c = 0; c < 3; c++) {
            t.fixed[c] = c < 2 && centre_ras[c] != 0 ? -centre_ras[c] : centre_ras[c]; /* no negative zeros */
        }
    }
    for (int r = 0; r < 3; r++) {
        t.parameter[9 + r] = lps.m[r][3] - t.fixed[r];
        for (int c = 0; c < 3; c++) {
            t.parameter[3 * r + c] = lps.m[r][c];
            t.parameter[9 + r] += lps.m[r][c] * t.fixed[c];
        }
    }
    return t;
}
