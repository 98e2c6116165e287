/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names that differ between the kernels that this driver is built for. Kbuild looks
 * into the headers that are there: distributions carry changes across versions.
 */
#ifndef _AUGUR_COMPAT_H_
#define _AUGUR_COMPAT_H_

#include <linux/mm.h>

#ifndef AUGUR_HAVE_ZAP_SPECIAL_VMA_RANGE
#define zap_special_vma_range zap_vma_ptes
#endif

#endif
