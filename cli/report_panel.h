/**
 * Slices of the fixed grid as panels of pixels: crop, window, resampling to the display, edges. Panels are drawn in the
 * grid's nearest RAS order, so that a reader sees R to the right (neurological) and A or S upward whatever the file's
 * order is; oblique grids are shown along their own axes. @test cli/
 */
#ifndef VSL_CLI_REPORT_PANEL_H
#define VSL_CLI_REPORT_PANEL_H

#include "cli/reorient.h"

typedef struct PanelView {   /* what part of the fixed grid one panel shows, and at how many pixels */
    int right, up, through;  /* RAS axes */
    int64_t slice;           /* voxel along `through` */
    int64_t low[2], high[2]; /* first and last voxel shown along right and up */
    int width, height;
} PanelView;

typedef struct PanelWindow {
    float low, high; /* drawn black and white */
} PanelWindow;

/** Bounding box (RAS order, inclusive, a margin added) and centre of mass of what stands out from the background. */
void panel_foreground(int64_t low[3], int64_t high[3], int64_t centre[3], const CliAxes *axes, const float *data,
                      double margin_mm);
/** Robust black and white points: the smallest value, and the 98.5 percentile of what
 * lies above it (bright fat would darken all else). */
VSL_MUST_USE VslStatus panel_window(PanelWindow *out, const float *data, int64_t count);
/** Bilinear samples at the pixel centres; out holds width * height floats, top row first. */
void panel_sample(float *out, const PanelView *view, const CliAxes *axes, const float *data);
/** Canny edges of a panel: 1 on an edge, 0 elsewhere. sigma_px: width of the smoothing. */
VSL_MUST_USE VslStatus panel_edges(unsigned char *out, const float *panel, int width, int height, double sigma_px);
/** Nearness (0..1) of every pixel to the lines of a regular grid of the moving image, seen through the displacement
 * (mm, RAS world, 3 channels on the same array as axes): lines every step_mm along the panel's axes. */
VSL_MUST_USE VslStatus panel_grid_lines(float *out, const PanelView *view, const CliAxes *axes, const float *disp,
                                        double step_mm);

#endif
