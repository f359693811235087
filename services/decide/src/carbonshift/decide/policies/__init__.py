"""The policies that come with CarbonShift, one file each, registered as `carbonshift.policies`."""
