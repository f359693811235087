"""The sources that come with CarbonShift, one file each, registered as `carbonshift.sources`."""
