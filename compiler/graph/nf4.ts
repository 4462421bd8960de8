/**
 * The 16 values of NF4 (normal float, 4 bits): quantiles of the standard normal distribution, scaled to -1..1 with an exact
 * zero. Dettmers et al. 2023, QLoRA, appendix E, each as the nearest bfloat16 number (at most 0.002 away): kernels look them up as two bytes, and their product with a float16 scale is exact in float32.
 */
export const nf4Code: readonly number[] = [
  -1, -0.6953125, -0.5234375, -0.39453125, -0.28515625, -0.1845703125, -0.0908203125, 0, 0.07958984375, 0.1611328125,
  0.24609375, 0.337890625, 0.44140625, 0.5625, 0.72265625, 1,
];
