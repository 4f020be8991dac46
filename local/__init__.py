"""The local AWS: the emulator with its corrections, deployments of the module on it, the demo."""
