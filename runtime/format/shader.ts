/** WGSL of a plan: one complete compute shader per kernel, in the order of the program's kernels. */
export interface ShaderSet {
  readonly workgroupSize: number;
  /** null: this kernel has no WGSL and its steps run on WASM. */
  readonly shaders: readonly (string | null)[];
}
