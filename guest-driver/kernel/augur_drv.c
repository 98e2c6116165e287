// SPDX-License-Identifier: GPL-2.0
/*
 * The Augur accelerator driver: the module and its DRM device.
 */
#include <linux/module.h>

#include <drm/augur_accel.h>
#include <drm/drm_accel.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>

#include "augur_context.h"
#include "augur_copy.h"
#include "augur_device.h"
#include "augur_fence.h"
#include "augur_gem.h"
#include "augur_hints.h"
#include "augur_predict.h"
#include "augur_query.h"
#include "augur_recovery.h"
#include "augur_share.h"
#include "augur_submit.h"
#include "augur_usage.h"

#define AUGUR_IOCTL(name, function) \
	DRM_IOCTL_DEF_DRV(AUGUR_##name, augur_ioctl_##function, 0)

static const struct drm_ioctl_desc augur_ioctls[] = {
	AUGUR_IOCTL(DEV_QUERY, dev_query),
	AUGUR_IOCTL(BO_CREATE, bo_create),
	AUGUR_IOCTL(BO_INFO, bo_info),
	AUGUR_IOCTL(SUBMIT, submit),
	AUGUR_IOCTL(WAIT, wait),
	AUGUR_IOCTL(PREDICTOR, predictor),
	AUGUR_IOCTL(MODEL_PULL, model_pull),
	AUGUR_IOCTL(MODEL_PUSH, model_push),
	AUGUR_IOCTL(PROFILE, profile),
	AUGUR_IOCTL(CONTEXT_PRIORITY, context_priority),
	AUGUR_IOCTL(BO_ADVISE, bo_advise),
	AUGUR_IOCTL(BO_WAIT, bo_wait),
	AUGUR_IOCTL(SUBMIT_LISTS, submit_lists),
	AUGUR_IOCTL(BO_COPY, bo_copy),
	DRM_IOCTL_DEF_DRV(AUGUR_RESET, augur_ioctl_reset, DRM_ROOT_ONLY),
};

static const struct file_operations augur_fops = {
	.owner = THIS_MODULE,
	DRM_ACCEL_FOPS,
	.show_fdinfo = drm_show_fdinfo,
};

const struct drm_driver augur_drm_driver = {
	.driver_features = DRIVER_COMPUTE_ACCEL | DRIVER_GEM | DRIVER_SYNCOBJ |
			   DRIVER_SYNCOBJ_TIMELINE,
	.open = augur_context_open,
	.postclose = augur_context_close,
	.ioctls = augur_ioctls,
	.num_ioctls = ARRAY_SIZE(augur_ioctls),
	.fops = &augur_fops,
	.show_fdinfo = augur_show_fdinfo,
	.gem_prime_import = augur_share_import,
	.name = "augur",
	.desc = "Augur accelerator card",
	.major = 1,
	.minor = 0,
};

static int __init augur_init(void)
{
	int ret;

	ret = augur_contexts_init();
	if (ret)
		return ret;
	ret = register_virtio_driver(&augur_virtio_driver);
	if (ret)
		augur_contexts_exit();
	return ret;
}

static void __exit augur_exit(void)
{
	unregister_virtio_driver(&augur_virtio_driver);
	augur_contexts_exit();
}

module_init(augur_init);
module_exit(augur_exit);

MODULE_DESCRIPTION("Augur accelerator card");
MODULE_AUTHOR("The Augur authors");
MODULE_LICENSE("GPL");
