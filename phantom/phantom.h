/**
 * A cohort of heads whose truth is known: brain-like T1-weighted scans made from an analytic anatomy.
 *
 * The template is a function of a world point (phantom/anatomy.h), so every scan is sampled from it without
 * interpolating voxels:
 *     scan(x) = template(age(phi^-1(A x))),   x a world point of the scan, mm, RAS+
 * A: head size (per subject) and position (per visit); phi: a random geodesic of diffeomorphisms (per subject); age: a
 * smooth map that widens the ventricles and shrinks hippocampus and cortex, identity at VSL_PHANTOM_TEMPLATE_AGE. The
 * composed map is returned as a displacement, so that a registration can be compared with what is true everywhere.
 * Tissue texture, bias field and Rician noise come from counters named by seed, subject and visit: a scan does not
 * depend on the number of threads nor on which other scans are made. docs/phantom.md has the details.
 * @test phantom/test_phantom.c
 */
#ifndef VSL_PHANTOM_PHANTOM_H
#define VSL_PHANTOM_PHANTOM_H

#include "core/backend.h"
#include "core/geodesic.h"
#include "core/options.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VSL_PHANTOM_TEMPLATE_AGE 62.5
enum { VSL_PHANTOM_MAX_LESIONS = 24 };

typedef enum VslPhantomModality {
    VSL_PHANTOM_BRAIN = 1,
    VSL_PHANTOM_HEART,     /* not yet: VSL_E_UNSUPPORTED */
    VSL_PHANTOM_RADIOGRAPH /* films, made by phantom/radiograph.h; refused here as VSL_E_UNSUPPORTED */
} VslPhantomModality;

typedef struct VslPhantomOptions { /* {0} = all defaults */
    int64_t size[3];               /* voxels over the box of 192 x 224 x 192 mm; all 0 = 96, 112, 96 (2 mm) */
    uint64_t seed;
    int lesions;      /* 1: every subject carries lesions */
    int modality;     /* VslPhantomModality */
    double deform_mm; /* the rows below: see the table */
    double noise_percent;
    double bias_percent;
} VslPhantomOptions;
extern VSL_API const VslOption vsl_phantom_option_table[];

typedef struct VslPhantomSubject { /* {0} is empty; free with vsl_phantom_subject_free */
    char label[16];                /* BIDS label without prefix: "01" */
    int is_male;
    double age_years;     /* at the first visit, 40..85 */
    double ageing_rate;   /* years of anatomical ageing per year, about 0.8..1.2 */
    double size_scale;    /* head size over template size, along every axis */
    VslGeodesic geodesic; /* phi: fixed = template box; pull-back phi^-1 leads from subject to template */
} VslPhantomSubject;

typedef enum VslLesionKind { VSL_LESION_PERIVENTRICULAR = 1, VSL_LESION_FOCAL } VslLesionKind;

typedef struct VslPhantomLesion {
    VslLesionKind kind;
    double centre_mm[3]; /* in template space, RAS+ */
    double radius_mm;    /* at this visit */
    double volume_mm3;   /* in the scan, from 8 samples per voxel */
    int64_t voxels;      /* of the mask: voxel centres inside */
} VslPhantomLesion;

typedef struct VslPhantomScan { /* {0} is empty; free with vsl_phantom_scan_free */
    VslVolume image;            /* whole numbers, white matter near 920 before bias and noise */
    VslLabels labels;           /* numbers of vsl_phantom_label_info; label of each voxel's centre */
    VslLabels lesions;          /* lesion number 1..lesion_count, 0 elsewhere; empty without lesions */
    VslVolume disp;             /* x + disp(x) = template point, mm, RAS+ (pull-back); empty for the template */
    VslAffine affine;           /* A: scan world -> world of phi, mm */
    double age_years;
    int lesion_count;
    VslPhantomLesion lesion[VSL_PHANTOM_MAX_LESIONS];
} VslPhantomScan;

/** The box of 192 x 224 x 192 mm around the head at this size; RAS, world origin near the anterior commissure.
 * @return VSL_E_ARG (an axis outside 16..1024). */
VSL_API VSL_MUST_USE VslStatus vsl_phantom_grid(VslGrid *out, const VslPhantomOptions *opt);

/** Template: no deformation, age VSL_PHANTOM_TEMPLATE_AGE, no noise, no bias. */
VSL_API VSL_MUST_USE VslStatus vsl_phantom_template(VslPhantomScan *out, const VslPhantomOptions *opt, VslBackend *be);
/** subject: 1-based. The same number, seed and deform_mm give the same person. */
VSL_API VSL_MUST_USE VslStatus vsl_phantom_subject(VslPhantomSubject *out, const VslPhantomOptions *opt, int subject,
                                                   VslBackend *be);
/** visit: 1-based; visits are 1.5 to 2.5 years apart. @return VSL_E_ARG, VSL_E_UNSUPPORTED, VSL_E_NOMEM,
 * VSL_E_NUMERIC. */
VSL_API VSL_MUST_USE VslStatus vsl_phantom_visit(VslPhantomScan *out, const VslPhantomSubject *subject,
                                                 const VslPhantomOptions *opt, int visit, VslBackend *be);
VSL_API void vsl_phantom_subject_free(VslPhantomSubject *s);
VSL_API void vsl_phantom_scan_free(VslPhantomScan *s);

typedef struct VslPhantomLabel {
    int index; /* as in the FreeSurfer colour table */
    const char *name;
    unsigned char rgb[3];
} VslPhantomLabel;
/** Row i of the table of labels, or NULL behind its end. */
VSL_API const VslPhantomLabel *vsl_phantom_label_info(int i);

#ifdef __cplusplus
}
#endif
#endif
