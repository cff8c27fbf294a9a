/* Names and colours of the labels. */
#include "phantom/anatomy.h"
#include "phantom/phantom.h"

const VslPhantomLabel *vsl_phantom_label_info(int i)
{
    static const VslPhantomLabel table[] = {
        {PH_LEFT_WHITE, "Left-Cerebral-White-Matter", {245, 245, 245}},
        {PH_LEFT_CORTEX, "Left-Cerebral-Cortex", {205, 62, 78}},
        {PH_LEFT_VENTRICLE, "Left-Lateral-Ventricle", {120, 18, 134}},
        {PH_LEFT_CEREBELLUM_WHITE, "Left-Cerebellum-White-Matter", {220, 248, 164}},
        {PH_LEFT_CEREBELLUM_CORTEX, "Left-Cerebellum-Cortex", {230, 148, 34}},
        {PH_LEFT_THALAMUS, "Left-Thalamus", {0, 118, 14}},
        {PH_LEFT_CAUDATE, "Left-Caudate", {122, 186, 220}},
        {PH_LEFT_PUTAMEN, "Left-Putamen", {236, 13, 176}},
        {PH_LEFT_PALLIDUM, "Left-Pallidum", {12, 48, 255}},
        {PH_THIRD_VENTRICLE, "3rd-Ventricle", {204, 182, 142}},
        {PH_FOURTH_VENTRICLE, "4th-Ventricle", {42, 204, 164}},
        {PH_BRAINSTEM, "Brain-Stem", {119, 159, 176}},
        {PH_LEFT_HIPPOCAMPUS, "Left-Hippocampus", {220, 216, 20}},
        {PH_LEFT_AMYGDALA, "Left-Amygdala", {103, 255, 255}},
        {PH_CSF_LABEL, "CSF", {60, 60, 60}},
        {PH_RIGHT_WHITE, "Right-Cerebral-White-Matter", {245, 245, 245}},
        {PH_RIGHT_CORTEX, "Right-Cerebral-Cortex", {205, 62, 78}},
        {PH_RIGHT_VENTRICLE, "Right-Lateral-Ventricle", {120, 18, 134}},
        {PH_RIGHT_CEREBELLUM_WHITE, "Right-Cerebellum-White-Matter", {220, 248, 164}},
        {PH_RIGHT_CEREBELLUM_CORTEX, "Right-Cerebellum-Cortex", {230, 148, 34}},
        {PH_RIGHT_THALAMUS, "Right-Thalamus", {0, 118, 14}},
        {PH_RIGHT_CAUDATE, "Right-Caudate", {122, 186, 220}},
        {PH_RIGHT_PUTAMEN, "Right-Putamen", {236, 13, 176}},
        {PH_RIGHT_PALLIDUM, "Right-Pallidum", {13, 48, 255}},
        {PH_RIGHT_HIPPOCAMPUS, "Right-Hippocampus", {220, 216, 20}},
        {PH_RIGHT_AMYGDALA, "Right-Amygdala", {103, 255, 255}},
    };
    return i >= 0 && i < (int)(sizeof table / sizeof table[0]) ? &table[i] : NULL;
}
