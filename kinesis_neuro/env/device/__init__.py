"""The same problem on a device: MuJoCo Warp's physics, and the task in torch."""
