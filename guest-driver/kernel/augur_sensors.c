// SPDX-License-Identifier: GPL-2.0
/*
 * The card's sensors: a hwmon device for power, energy and temperature, and the
 * attributes beside it that tools know from other NPUs (nvtop reads them for
 * ivpu). Each read asks the card; a lost card gives an error.
 */
#include <linux/hwmon.h>
#include <linux/math64.h>
#include <linux/sysfs.h>

#include "augur_control.h"
#include "augur_device.h"
#include "augur_usage.h"

static umode_t augur_sensor_visible(const void *data, enum hwmon_sensor_types type,
				    u32 attribute, int channel)
{
	return 0444;
}

static int augur_sensor_read(struct device *dev, enum hwmon_sensor_types type,
			     u32 attribute, int channel, long *value)
{
	struct augur_sensors_response sensors;
	int ret = augur_card_sensors(dev_get_drvdata(dev), &sensors);

	if (ret)
		return ret;
	switch (type) {
	case hwmon_power:
		*value = le64_to_cpu(sensors.power_uw);
		return 0;
	case hwmon_energy:
		*value = le64_to_cpu(sensors.energy_uj);
		return 0;
	case hwmon_temp:
		*value = le32_to_cpu(sensors.temperature_mc);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static const struct hwmon_ops augur_sensor_ops = {
	.is_visible = augur_sensor_visible,
	.read = augur_sensor_read,
};

static const struct hwmon_channel_info * const augur_sensor_channels[] = {
	HWMON_CHANNEL_INFO(power, HWMON_P_INPUT),
	HWMON_CHANNEL_INFO(energy, HWMON_E_INPUT),
	HWMON_CHANNEL_INFO(temp, HWMON_T_INPUT),
	NULL
};

static const struct hwmon_chip_info augur_sensor_chip = {
	.ops = &augur_sensor_ops,
	.info = augur_sensor_channels,
};

/**
 * augur_sensors_register - make the hwmon device
 * @adev: The card, greeted. Its device removes the sensors.
 */
int augur_sensors_register(struct augur_device *adev)
{
	struct device *dev = &adev->vdev->dev;

	return PTR_ERR_OR_ZERO(devm_hwmon_device_register_with_info(dev, "augur", adev,
								    &augur_sensor_chip,
								    NULL));
}

static int augur_sensors_of(struct device *dev, struct augur_sensors_response *sensors)
{
	struct augur_device *adev = dev_to_virtio(dev)->priv;

	return augur_card_sensors(adev, sensors);
}

static ssize_t npu_busy_time_us_show(struct device *dev, struct device_attribute *attribute,
				     char *buffer)
{
	struct augur_sensors_response sensors;
	int ret = augur_sensors_of(dev, &sensors);

	return ret ?: sysfs_emit(buffer, "%llu\n",
				 div_u64(le64_to_cpu(sensors.compute_ns), 1000));
}
static DEVICE_ATTR_RO(npu_busy_time_us);

static ssize_t npu_current_frequency_mhz_show(struct device *dev,
					      struct device_attribute *attribute,
					      char *buffer)
{
	struct augur_sensors_response sensors;
	int ret = augur_sensors_of(dev, &sensors);

	return ret ?: sysfs_emit(buffer, "%u\n", le32_to_cpu(sensors.engine_mhz));
}
static DEVICE_ATTR_RO(npu_current_frequency_mhz);

static ssize_t npu_max_frequency_mhz_show(struct device *dev,
					  struct device_attribute *attribute,
					  char *buffer)
{
	struct augur_sensors_response sensors;
	int ret = augur_sensors_of(dev, &sensors);

	return ret ?: sysfs_emit(buffer, "%u\n", le32_to_cpu(sensors.engine_max_mhz));
}
static DEVICE_ATTR_RO(npu_max_frequency_mhz);

/* Bytes in use, as ivpu's attribute of this name. */
static ssize_t npu_memory_utilization_show(struct device *dev,
					   struct device_attribute *attribute,
					   char *buffer)
{
	struct augur_device *adev = dev_to_virtio(dev)->priv;

	return sysfs_emit(buffer, "%lld\n", atomic64_read(&adev->counters.object_bytes));
}
static DEVICE_ATTR_RO(npu_memory_utilization);

static struct attribute *augur_sensor_attributes[] = {
	&dev_attr_npu_busy_time_us.attr,
	&dev_attr_npu_current_frequency_mhz.attr,
	&dev_attr_npu_max_frequency_mhz.attr,
	&dev_attr_npu_memory_utilization.attr,
	NULL
};

static const struct attribute_group augur_sensor_group = {
	.attrs = augur_sensor_attributes,
};

const struct attribute_group *augur_sensor_groups[] = {
	&augur_sensor_group,
	NULL
};
