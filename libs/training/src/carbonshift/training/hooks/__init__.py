"""The hooks that come with CarbonShift, a file each."""
