/**
 * Segmentation by a network that has learnt to denoise (PTDR: Rousseau et al. 2023, arXiv 2307.14066): the body of the
 * U-Net keeps its weights, a new head gives one logit a structure, the clean picture goes in at one constant noise
 * level, and all weights are trained on the labelled pictures.
 *
 *     loss = mean binary cross-entropy + 1 - mean over pictures and structures of (2 sum p m + 1)/(sum p + sum m + 1)
 * Each structure has a mask of its own, so masks may overlap (sigmoid, not softmax).
 *
 * Soft masks, as a teacher gives them, are to be matched: sum p^2 + sum m^2 stand in place of sum p + sum m. That Dice
 * (Milletari et al. 2016) is 1 at p = m alone; the other is highest where p is 0 or 1, also where m is neither, and
 * would harden, a second time, what the teacher has already been taught to decide (docs/ptdr.md has the measurements).
 *
 * Variants on the same backbone: without start weights it is the U-Net from scratch; STACK freezes the body and trains
 * a per-pixel perceptron on the decoder's activations at several noise levels (Baranchuk et al., ICLR 2022); JOINT
 * trains both heads at once, denoising on all pictures and segmentation on the labelled ones.
 * @test diffusion/test_segment.c
 */
#ifndef VSL_DIFFUSION_SEGMENT_H
#define VSL_DIFFUSION_SEGMENT_H

#include "diffusion/schedule.h"
#include "diffusion/train.h"
#include "diffusion/unet.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslSegmentKind { VSL_SEGMENT_FINE_TUNE = 1, VSL_SEGMENT_STACK, VSL_SEGMENT_JOINT } VslSegmentKind;

enum { VSL_SEGMENT_TIMES = 9 };

typedef struct VslSegmentOptions { /* {0} = all defaults, see the table */
    double time;                   /* the constant noise level, as vsl_diffusion_level takes it; 0 = 50 */
    double head_rate;              /* learning rate of the new head, in those of the body */
} VslSegmentOptions;
extern VSL_API const VslOption vsl_segment_option_table[];
/** Fills in defaults; that of the noise level is low in the process's own terms: 50 of DDPM's 1000 steps, a sigma of
 * 0.2 (EDM), 0.05 (flow). @return VSL_E_ARG. */
VSL_API VSL_MUST_USE VslStatus vsl_segment_resolve(VslSegmentOptions *opt, VslProcess process);

/** What a segmentation model is made of; everything is borrowed and lives as long as task and models. */
typedef struct VslSegmentSetup {
    VslSegmentKind kind;
    const VslUnetOptions *unet;
    const VslDiffusion *diffusion;
    const VslSegmentOptions *opt; /* resolved */
    int structures;
    int has_soft_masks;               /* some masks to learn from are a teacher's probabilities */
    const unsigned char *in_one_part; /* of each structure: all but the largest part of a prediction is left out
                                         (parts.h); NULL = of none */
} VslSegmentSetup;

typedef struct VslSegmenter VslSegmenter;

/** The task of the training loop; setup is its `user`. */
VSL_API VslTask vsl_segment_task(const VslSegmentSetup *setup);
/** Learning rates of the parts, once the trainer is made: the head's, and 0 for a frozen body. */
VSL_API void vsl_segment_rates(NnParams *p, const VslSegmentSetup *setup);
/** Makes another model's head fit other structures: what it knows by name keeps its output, others begin at zero.
 * Without a head in w nothing is done. where: the model, for sentences. @return VSL_E_FORMAT (head is not of have_count
 * structures), VSL_E_NOMEM; w changes on success only. */
VSL_API VSL_MUST_USE VslStatus vsl_segment_head_for(VslWeights *w, const char *const *have, int have_count,
                                                    const char *const *want, int want_count, const char *where);
/** The network alone, to predict with. p must outlive it. @return VSL_E_ARG, VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_segmenter_new(VslSegmenter **out, NnParams *p, const VslSegmentSetup *setup);
VSL_API void vsl_segmenter_free(VslSegmenter **m);

/** x (B, C, [D,] H, W) in [-1, 1] at a level's time -> logits (B, structures, ..). */
VSL_API NnTensor *vsl_segment_logits(NnScope *s, const VslSegmenter *m, NnTensor *x, double time);
/** Binary cross-entropy + soft Dice of logits against masks of the same shape: a scalar. are_soft: with squares. */
VSL_API NnTensor *vsl_segment_loss(NnScope *s, NnTensor *logits, NnTensor *masks, int are_soft);

/**
 * Pictures -> probabilities. The logits of several noise levels are averaged; how far the levels disagree is a measure
 * of uncertainty.
 * @param probability (count, structures, n): sigmoid of the mean logit; 0 in parts that are left out.
 * @param spread      likewise: standard deviation of the levels' probabilities; NULL = not wanted.
 * @param image       (count, channels, n) in [-1, 1].
 * @param times       1..VSL_SEGMENT_TIMES levels; NULL with 0 = the level that it was trained at.
 * @return VSL_E_ARG, VSL_E_NUMERIC (an answer that is not finite), VSL_E_NOMEM, failures of the network; outputs change
 * on success only.
 */
VSL_API VSL_MUST_USE VslStatus vsl_segment_predict(float *probability, float *spread, NnRuntime *rt,
                                                   const VslSegmenter *m, const float *image, int64_t count,
                                                   const int64_t n[3], const double *times, int time_count);

#ifdef __cplusplus
}
#endif
#endif
