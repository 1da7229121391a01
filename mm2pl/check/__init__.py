"""``mm2pl check``: what a config means here, before it runs; without torch and Lightning."""
