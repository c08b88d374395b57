// Placeholder until the kernels land: the reference backend needs no build.
