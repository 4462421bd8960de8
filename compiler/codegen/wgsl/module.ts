/**
 * Kernels to WGSL: one complete compute shader each, in table order. All see the image of the whole linear memory
 * and one small uniform that says which record to run and how many invocations it has.
 * The bindings are those that runtime/format/README.md specifies.
 */
import { recordHeaderWords } from "../../../runtime/format/program.ts";
import type { ShaderSet } from "../../../runtime/format/shader.ts";
import type { Kernel, WgslKernel } from "../../kernels/contract.ts";

const workgroupSize = 64;

const head = `
struct Dispatch { record: u32, invocations: u32 }
@group(0) @binding(0) var<storage, read_write> memory: array<u32>;
@group(0) @binding(1) var<uniform> dispatch: Dispatch;
fn word(record: u32, index: u32) -> u32 { return memory[(record >> 2u) + ${recordHeaderWords}u + index]; }
fn range(record: u32) -> u32 { return memory[(record >> 2u) + 1u]; }
`.trim();

const tail = `
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (group.y * groups.x + group.x) * ${workgroupSize}u + lane;
  if (index < dispatch.invocations) { run(index, dispatch.record); }
}
`.trim();

export function generateShaders(kernels: readonly Kernel[]): ShaderSet {
  const shaders = kernels.map((kernel) => {
    const code = kernel.emitWgsl?.();
    return code === undefined ? null : shaderOf(code);
  });
  return { workgroupSize, shaders };
}

function shaderOf({ prelude, body }: WgslKernel): string {
  return [head, ...prelude, `fn run(index: u32, record: u32) {\n${body}\n}`, tail].join("\n");
}
