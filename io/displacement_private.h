/* Which NIfTI images are meant as displacement fields, of whatever convention: the reader refuses some of them by name.
 */
#ifndef VSL_IO_DISPLACEMENT_PRIVATE_H
#define VSL_IO_DISPLACEMENT_PRIVATE_H

#include "io/nifti.h"

int displacement_is_meant(const VslNiftiInfo *info);

#endif
