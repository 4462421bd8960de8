/** What Winograd convolutions of floats and of integers have in common: F(2x2, 3x3) and the caches it is made for. */

/** Points of a transformed tile, and output channels of a panel. */
export const points = 16;
export const width = 8;
/** Bytes between the points' regions: without it, strides of powers of two fall into one set of the cache. */
export const pointGap = 64;
/** Part of the second cache that a block's transformed input, products and weights fill together. */
export const cacheBytes = 640 * 1024;
/** Fewer tiles do not pay for the transform of the weights. */
export const leastTiles = 16;
