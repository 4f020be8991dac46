"""The local AWS: an emulator, and the module applied to it."""
